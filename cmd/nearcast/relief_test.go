package main

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/apiclient"
)

// TestReliefGoesOn: while a scheduler hangs the POP's nodes still know how busy each other are.
func TestReliefGoesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // its kernel opens connections, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan struct{}, 100)
	k := &relief{
		pop: "fra", log: slog.New(slog.DiscardHandler), schedulers: []*apiclient.Client{apiclient.New("http://"+l.Addr().String(), "token")},
		load: func() cdn.NodeLoad { return cdn.NodeLoad{CPU: 0.9} },
		loads: func() map[cdn.NodeName]float64 {
			asked <- struct{}{}
			return nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	timeout := time.After(5 * time.Second)
	for i := range 3 {
		select {
		case <-asked:
		case <-timeout:
			t.Fatalf("after 5 s the loads were asked for %d times, want each second", i)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
