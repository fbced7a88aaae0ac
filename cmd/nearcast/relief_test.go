package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge/shed"
	"nearcast/scheduler/apiclient"
)

func reliefOf(loads func() map[cdn.NodeName]float64, schedulers ...reliever) *relief {
	return &relief{
		pop: "fra", schedulers: schedulers, load: func() cdn.NodeLoad { return cdn.NodeLoad{CPU: 0.9} }, loads: loads, log: slog.New(slog.DiscardHandler),
	}
}

// Groups that operators allow nowhere else are sent nowhere, rather than where all others go.
func TestReliefStays(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(cdn.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"net 192.0.2.0/24": "par"}, Stay: []cdn.GroupName{"net 203.0.113.0/24"}}); err != nil {
			t.Error(err)
		}
	}))
	defer api.Close()
	loads := map[cdn.NodeName]float64{"fra-2": 0.5}
	k := reliefOf(func() map[cdn.NodeName]float64 { return loads }, apiclient.New(api.URL, "token"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	want := &shed.Relief{
		Default: "lon", Loads: loads, Groups: map[cdn.GroupName]cdn.POPName{"net 192.0.2.0/24": "par", "net 203.0.113.0/24": ""}, Bound: true,
	}
	deadline, tick := time.After(10*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for cmp.Diff(want, k.Now()) != "" {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, k.Now()))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// silent is a scheduler that never answers.
type silent struct{}

func (silent) Relief(ctx context.Context, _ cdn.POPName) (*cdn.Relief, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) URL() string { return "http://192.0.2.1" }

// How busy the POP's other nodes are is known to the second, though no scheduler answers.
func TestReliefWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var load atomic.Int64
		k := reliefOf(func() map[cdn.NodeName]float64 { return map[cdn.NodeName]float64{"fra-2": float64(load.Load()) / 100} },
			silent{}, silent{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		for second := range 20 {
			load.Store(int64(second))
			<-time.After(reliefTick)
			synctest.Wait()
			if got, want := k.Now().Loads["fra-2"], float64(second)/100; got != want {
				t.Fatalf("second %d: %v, want %v", second, got, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
