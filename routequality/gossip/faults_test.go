package gossip_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/gossip/memnet"
)

var lossy = memnet.Config{Seed: 1, Loss: 0.01}

// Halves of a pool that cannot hear each other take each other for dead, and find together again by themselves, even once either has forgotten the
// other, and whichever half the seeds are in.
func TestPartition(t *testing.T) {
	for _, test := range []struct {
		name   string
		lasts  time.Duration
		split  int // how many are in the first half; n0 and n1 are the seeds
		within time.Duration
	}{
		{"short", 10 * time.Second, 4, 20 * time.Second},
		{"long", time.Minute, 4, 20 * time.Second},
		{"a seed in each", time.Minute, 1, 20 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, 8, lossy, nil, func(f *fleet) {
				a, b := f.all[:test.split], f.all[test.split:]
				f.split(true, a, b)
				f.split(true, b, a)
				f.await(15*time.Second, sees(a...), a...) // one alone has nobody to confirm it
				f.await(15*time.Second, sees(b...), b...)
				<-time.After(test.lasts)
				f.split(false, a, b)
				f.split(false, b, a)
				f.awaitAll(test.within, f.complete)
			})
		})
	}
}

// Silence in one direction between two members is nothing: others can ask. A member that hears nobody is dead for the others after a while, and nobody
// else is, though it accuses all of them.
func TestOneWay(t *testing.T) {
	t.Run("between two", func(t *testing.T) {
		inBubble(t, 8, memnet.Config{}, nil, func(f *fleet) {
			f.net.Block(f.all[2].addr, f.all[3].addr, true)
			f.unchanged(time.Minute, "one way is silent", f.complete, f.all...)
		})
	})
	t.Run("deaf", func(t *testing.T) {
		inBubble(t, 8, memnet.Config{}, nil, func(f *fleet) {
			deaf, others := f.all[7], f.all[:7]
			f.split(true, f.all, []*machine{deaf})
			f.await(5*time.Second, sees(others...), others...)
			f.unchanged(time.Minute, "one member is deaf", sees(others...), others...)
			f.split(false, f.all, []*machine{deaf})
			f.awaitAll(30*time.Second, f.complete)
		})
	})
	t.Run("dumb", func(t *testing.T) {
		inBubble(t, 8, memnet.Config{}, nil, func(f *fleet) {
			dumb, others := f.all[7], f.all[:7]
			f.split(true, []*machine{dumb}, f.all)
			f.await(5*time.Second, sees(others...), others...)
			f.unchanged(time.Minute, "one member is dumb", sees(others...), others...)
			f.split(false, []*machine{dumb}, f.all)
			f.awaitAll(30*time.Second, f.complete)
		})
	})
}

// All members of a pool that lose their power at once are back together seconds after they have it again, whether they noticed each other's death or
// not, and what they say now counts.
func TestMassRestart(t *testing.T) {
	for _, kind := range []gossip.Kind{gossip.LAN, gossip.WAN} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, 12, memnet.Config{Seed: 2, Loss: 0.01, Delay: func(_, _ netip.AddrPort) time.Duration { return 3 * time.Millisecond }},
				func(_ int, c *gossip.Config) { c.Kind = kind }, func(f *fleet) {
					f.awaitAll(20*time.Second, f.complete)
					for _, m := range f.all {
						m.SetState(cdn.StateReady)
					}
					for range 3 {
						<-time.After(500 * time.Millisecond)
						f.restart(f.all...)
						f.awaitAll(10*time.Second, func(m *machine) bool {
							return f.complete(m) && !slices.ContainsFunc(m.Members(), func(o gossip.Member) bool { return o.State != cdn.StateStarting })
						})
					}
				})
		})
	}
}

// A node that is killed and started again at once is back within two seconds, and so is one that was found dead.
func TestRestartInTime(t *testing.T) {
	for name, pause := range map[string]time.Duration{"unnoticed": 100 * time.Millisecond, "found": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, lossy, nil, func(f *fleet) {
				f.all[2].host.Cut(true)
				f.all[2].end()
				<-time.After(pause)
				f.start(f.all[2])
				f.all[2].SetState(cdn.StateDraining)
				f.awaitAll(2*time.Second, func(m *machine) bool { return m.State("n2") == cdn.StateDraining })
			})
		})
	}
}

// Leaving and draining are known to all within a second.
func TestLeaveAndDrain(t *testing.T) {
	inBubble(t, 8, lossy, nil, func(f *fleet) {
		f.all[5].SetState(cdn.StateDraining)
		f.awaitAll(time.Second, func(m *machine) bool { return m.State("n5") == cdn.StateDraining })
		f.all[5].end()
		f.await(time.Second, func(m *machine) bool { return m.State("n5") == cdn.StateDown }, slices.Concat(f.all[:5], f.all[6:])...)
	})
}

// A LAN pool is of one POP, and a WAN pool is no LAN pool, though all have the same secret, cluster and seeds.
func TestKindsApart(t *testing.T) {
	inBubble(t, 6, memnet.Config{}, func(i int, c *gossip.Config) {
		switch i / 2 {
		case 0:
			c.POP = "ams"
		case 1:
			c.POP = "fra"
		case 2:
			c.Kind, c.POP = gossip.WAN, "fra"
		}
		c.Join = []netip.AddrPort{addr(0), addr(2), addr(4)}
	}, func(f *fleet) {
		for i := 0; i < 6; i += 2 {
			f.await(20*time.Second, sees(f.all[i:i+2]...), f.all[i:i+2]...)
		}
		<-time.After(time.Minute)
		for i := 0; i < 6; i += 2 {
			f.await(0, sees(f.all[i:i+2]...), f.all[i:i+2]...)
		}
		if m := f.all[4].find("n5"); m == nil || m.POP != "fra" {
			t.Errorf("a member of the WAN pool is %+v, want POP fra", m)
		}
	})
}

// A secret is replaced under way without anybody being lost, and then the old one opens nothing.
func TestRotation(t *testing.T) {
	inBubble(t, 3, memnet.Config{}, nil, func(f *fleet) {
		for i, step := range [][]string{{"a secret", "new"}, {"new", "a secret"}, {"new"}} {
			for _, m := range f.all { // one after the other: most of the time they differ
				if err := m.SetSecrets(step); err != nil {
					t.Fatal(err)
				}
				f.unchanged(10*time.Second, fmt.Sprint("rotating to ", step), f.complete, f.all...)
				for _, from := range f.all {
					to := f.all[(slices.Index(f.all, from)+1)%3]
					if err := from.SendReliably(to.cfg.Node, fmt.Append(nil, i)); err != nil {
						t.Error(err)
					}
				}
			}
		}
		<-time.After(time.Second)
		for _, m := range f.all {
			if got := len(m.messages()); got != 9 {
				t.Errorf("%s got %d messages during the rotation, want 9", m.cfg.Node, got)
			}
		}
		cfg := config("late")
		cfg.Join = []netip.AddrPort{addr(0)}
		late := f.add(cfg, addr(9))
		f.unchanged(20*time.Second, "someone who has the old secret", sees(f.all[:3]...), f.all[:3]...)
		if late.living() != 1 {
			t.Errorf("who has the old secret only sees %v", late.Members())
		}
		if err := late.SetSecrets([]string{"old", "new"}); err != nil {
			t.Fatal(err)
		}
		if err := late.SetSecrets([]string{"new"}); err != nil {
			t.Fatal(err)
		}
		f.awaitAll(20*time.Second, f.complete)
	})
}

func TestSecretsRefused(t *testing.T) {
	p := start(t, config("n1"))
	for _, secrets := range [][]string{nil, {}, {""}, {"good", ""}, slices.Repeat([]string{"many"}, 9)} {
		if err := p.SetSecrets(secrets); err == nil {
			t.Errorf("SetSecrets(%q) took them", secrets)
		}
		cfg := config("n2")
		cfg.Secrets = secrets
		if _, err := gossip.New(cfg); err == nil {
			t.Errorf("New took the secrets %q", secrets)
		}
	}
}
