// Package stockxds is a control plane made of go-control-plane's own parts and
// nothing of attache's: what a team has that wrote its own. Server serves a
// snapshot as the project's example does; Raw sends whatever it is told, right
// or wrong. Both keep what their clients said.
package stockxds
