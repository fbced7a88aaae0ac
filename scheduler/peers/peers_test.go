package peers_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/internal/leaktest"
	"nearcast/scheduler/peers"
)

func TestMain(m *testing.M) { leaktest.Main(m, 0) }

// scheduler is one of a fleet, seen from its own and from the others' side.
type scheduler struct {
	name     string
	versions []cdn.MapVersion
	down     bool
	refuses  bool
	adopted  []string
}

func (s *scheduler) URL() string { return s.name }

type peer struct{ *scheduler }

func (p peer) Versions(context.Context) ([]cdn.MapVersion, error) {
	if p.down {
		return nil, errors.New("down")
	}
	return p.versions, nil
}

func (p peer) State(context.Context) ([]byte, error) {
	if p.down {
		return nil, errors.New("down")
	}
	return []byte(p.name), nil
}

func (s *scheduler) Versions() []cdn.MapVersion { return s.versions }

func (s *scheduler) Adopt(state []byte) error {
	if s.refuses {
		return errors.New("refused")
	}
	s.adopted = append(s.adopted, string(state))
	return nil
}

func maps(steps uint64, digests ...string) []cdn.MapVersion {
	var all []cdn.MapVersion
	for i, d := range digests {
		if d != "" {
			all = append(all, cdn.MapVersion{Epoch: "e", Version: uint64(i + 1), Digest: d, Steps: steps})
		}
	}
	return all
}

func TestWhoseStateIsTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		mine   []cdn.MapVersion
		theirs [][]cdn.MapVersion
		want   string // whose state b takes over
	}{
		"all agree":                        {maps(5, "x", "y"), [][]cdn.MapVersion{maps(5, "x", "y"), maps(9, "x", "y")}, ""},
		"one has not seen the newest yet":  {maps(5, "x", "y"), [][]cdn.MapVersion{maps(5, "x"), nil}, ""},
		"nothing in common":                {maps(5, "x"), [][]cdn.MapVersion{maps(9, "", "y"), nil}, ""},
		"it differed before and no more":   {maps(5, "x", "y"), [][]cdn.MapVersion{maps(9, "z", "y"), nil}, ""},
		"the one that has seen more":       {maps(5, "x"), [][]cdn.MapVersion{maps(4, "z"), maps(9, "z")}, "c"},
		"I have seen more":                 {maps(5, "x"), [][]cdn.MapVersion{maps(4, "z"), maps(3, "z")}, ""},
		"of equals the first by name":      {maps(5, "x"), [][]cdn.MapVersion{maps(5, "z"), maps(5, "z")}, "a"},
		"of equals not the one after me":   {maps(5, "x"), [][]cdn.MapVersion{maps(5, "x"), maps(5, "z")}, ""},
		"who has none takes what there is": {nil, [][]cdn.MapVersion{nil, maps(1, "z")}, "c"},
		"nobody has any":                   {nil, [][]cdn.MapVersion{nil, nil}, ""},
		"a map for another configuration": {
			[]cdn.MapVersion{{Epoch: "e", Version: 1, Digest: "x", Generation: 2}}, [][]cdn.MapVersion{{{Epoch: "e", Version: 1, Digest: "z", Generation: 1, Steps: 9}}, nil}, "",
		},
		"another epoch is nothing in common": {[]cdn.MapVersion{{Epoch: "f", Version: 1, Digest: "x"}}, [][]cdn.MapVersion{maps(9, "z"), nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := &scheduler{name: "b", versions: c.mine}
			k := keeper(b, &scheduler{name: "a", versions: c.theirs[0]}, &scheduler{name: "c", versions: c.theirs[1]})
			k.Compare(t.Context())
			got := ""
			if len(b.adopted) > 0 {
				got = b.adopted[0]
			}
			if got != c.want {
				t.Errorf("took over the state of %q, want %q", got, c.want)
			}
		})
	}
}

func keeper(self *scheduler, others ...*scheduler) *peers.Keeper {
	var list []peers.Peer
	for _, o := range others {
		list = append(list, peer{o})
	}
	return peers.New(peers.Config{
		Self: self, Before: func(i int) bool { return self.name < others[i].name }, Peers: list,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
}

func TestWhoCannotBeReachedIsLeftOut(t *testing.T) {
	b := &scheduler{name: "b", versions: maps(5, "x")}
	keeper(b, &scheduler{name: "a", versions: maps(9, "z"), down: true}).Compare(t.Context())
	if len(b.adopted) != 0 {
		t.Errorf("took over %q", b.adopted)
	}
}

// A state that cannot be taken over, or after which the maps differ still, is not fetched every second.
func TestTriesAreFewerAndFewer(t *testing.T) {
	b := &scheduler{name: "b", versions: maps(5, "x")}
	a := &scheduler{name: "a", versions: maps(9, "z")}
	k := keeper(b, a)
	for range 256 {
		k.Compare(t.Context())
	}
	if n := len(b.adopted); n < 8 || n > 12 {
		t.Errorf("%d tries in 256 comparisons, want about 9", n)
	}
	agreed := len(b.adopted)
	a.versions = b.versions
	k.Compare(t.Context())
	a.versions = maps(9, "z")
	k.Compare(t.Context())
	if len(b.adopted) != agreed+1 {
		t.Error("once they had agreed the next difference is not mended at once")
	}
}

func TestARefusedStateIsCountedAndTriedAgain(t *testing.T) {
	b := &scheduler{name: "b", versions: maps(5, "x"), refuses: true}
	reg := prometheus.NewRegistry()
	k := peers.New(peers.Config{
		Self: b, Before: func(int) bool { return false }, Peers: []peers.Peer{peer{&scheduler{name: "a", versions: maps(9, "z")}}},
		Log: slog.New(slog.DiscardHandler), Registry: reg,
	})
	k.Compare(t.Context())
	b.refuses = false
	k.Compare(t.Context())
	if len(b.adopted) != 1 {
		t.Errorf("took over %q", b.adopted)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	if n := testutil.CollectAndCount(reg, "nearcast_scheduler_states_adopted_total"); n != 2 {
		t.Errorf("%d results are counted, want failed and ok", n)
	}
}
