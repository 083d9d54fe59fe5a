package route

// What the levels above a target say of filters, gathered when the table is
// compiled.

import "github.com/attache-mesh/attache/proxy/config"

// override finds or makes the set of the levels given, most specific first, and
// those above them, the virtual host's and the table's; -1 if nothing is said.
func (c *compiler[C]) override(below ...[]config.FilterOverride) int {
	var key [4]*config.FilterOverride
	var levels [][]config.FilterOverride
	for _, level := range append(below, c.host.Filters, c.table.Filters) {
		if len(level) > 0 {
			key[len(levels)] = &level[0]
			levels = append(levels, level)
		}
	}
	if len(levels) == 0 {
		return -1
	}
	i, ok := c.known[key]
	if !ok {
		i = len(c.overrides)
		c.known[key] = i
		c.overrides = append(c.overrides, levels)
	}
	return i
}
