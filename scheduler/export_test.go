package scheduler

import (
	"context"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/transfer"
	"nearcast/scheduler/view"
)

// CopyOf is what secondaries get of a configuration.
func CopyOf(s *cdn.Snapshot) (transfer.Source, error) {
	plan, err := view.Compile(s)
	return copies{plan, respond.SettingsOf(&s.Fleet.DNS)}, err
}

// WatchTableAge is the part of Run that needs no socket.
func (s *Server) WatchTableAge(ctx context.Context) { s.watchTableAge(ctx) }

// Usable returns how many nodes visitors may be sent to.
func (s *Server) Usable() int {
	n := 0
	for _, pop := range s.current.Load().Usable {
		n += len(pop.Nodes)
	}
	return n
}

// CloseSockets closes what Run would.
func (s *Server) CloseSockets() {
	s.dns.Close()
	s.http.Run(cancelledBefore())
}

func cancelledBefore() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
