package main

// Several replicas: one of them writes status, and counts the sidecars of all.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/attache-mesh/attache/discovery/kube/ambassadors"
)

// Times of the Lease: a replica that is gone is followed after leaseTime.
const (
	leaseTime  = 15 * time.Second
	renewTime  = 10 * time.Second
	retryTime  = 2 * time.Second
	peersTime  = 2 * time.Second
	maxPeers   = 64
	maxCounted = 8 << 20 // bytes of a replica's counts
)

// lead takes part in the election, if there is one, until ctx is done; leading
// says how it stands.
func (p *program) lead(ctx context.Context, c *rest.Config, running *sync.WaitGroup) (leading func() bool, err error) {
	if p.f.lease == "" {
		return func() bool { return true }, nil
	}
	namespace, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME")
	if namespace == "" || name == "" {
		return nil, errors.New("--lease: needs POD_NAMESPACE and POD_NAME")
	}
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("--lease: %w", err)
	}
	var is atomic.Bool
	e, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: namespace, Name: p.f.lease}, Client: client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		},
		LeaseDuration: leaseTime, RenewDeadline: renewTime, RetryPeriod: retryTime, ReleaseOnCancel: true, Name: p.f.lease,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {
				is.Store(true)
				p.log.Info("this replica writes the status of Ambassadors and routes")
			},
			OnStoppedLeading: func() { is.Store(false) },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("--lease: %w", err)
	}
	running.Go(func() {
		for ctx.Err() == nil { // it ends when the Lease is lost
			e.Run(ctx)
		}
	})
	return is.Load, nil
}

// allSidecars adds up what the replicas count. One that does not answer in time
// is left out until it does.
func (p *program) allSidecars(ctx context.Context) map[string]ambassadors.Sidecars {
	if p.f.peers == "" {
		return p.ownSidecars()
	}
	ctx, cancel := context.WithTimeout(ctx, peersTime)
	defer cancel()
	host, port, _ := net.SplitHostPort(p.f.peers) // checked
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		p.log.Debug("replicas are not counted", "error", err)
		return p.ownSidecars()
	}
	counts := make([]map[string]ambassadors.Sidecars, min(len(addresses), maxPeers))
	var asking sync.WaitGroup
	for i := range counts {
		asking.Go(func() {
			var err error
			if counts[i], err = askPeer(ctx, net.JoinHostPort(addresses[i], port)); err != nil {
				p.log.Debug("a replica is not counted", "address", addresses[i], "error", err)
			}
		})
	}
	asking.Wait()
	all := map[string]ambassadors.Sidecars{}
	for _, one := range counts {
		for name, n := range one {
			sum := all[name]
			sum.Connected, sum.Synced, sum.Refused = sum.Connected+n.Connected, sum.Synced+n.Synced, sum.Refused+n.Refused
			sum.LastRefusal = max(sum.LastRefusal, n.LastRefusal) // any, but always the same
			all[name] = sum
		}
	}
	return all
}

func askPeer(ctx context.Context, address string) (counts map[string]ambassadors.Sidecars, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/sidecars", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return counts, json.NewDecoder(io.LimitReader(resp.Body, maxCounted)).Decode(&counts)
}

// sidecarCounts answers another replica.
func (p *program) sidecarCounts(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.ownSidecars()) // nobody is left who would be told
}
