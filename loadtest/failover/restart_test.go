package failover_test

import (
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/loadtest/labtest"
)

// TestRestartKnowsTheDead: a route-quality server that starts does not send visitors to a POP that is dead.
func TestRestartKnowsTheDead(t *testing.T) {
	f := start(t)
	for _, n := range []string{"mad-1", "mad-2"} {
		f.Kill(t, n)
	}
	labtest.Eventually(t, 15*time.Second, "no map counts on a dead POP", func() bool { return f.avoided(t, "mad") })
	before := f.table.Load().Epoch
	f.Kill(t, "core-1.routequality")
	f.StartAgain(t, "core-1.routequality")
	labtest.Eventually(t, 15*time.Second, "there is a table of the new process", func() bool { return f.table.Load().Epoch != before })
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for now := range tick.C {
		since := now.Sub(begin)
		for _, p := range f.table.Load().POPs {
			if p.POP == "mad" && p.State != cdn.POPDown {
				t.Fatalf("%v after the restart it is %q, want down", since, p.State)
			}
		}
		if since > time.Second && !f.avoided(t, "mad") {
			t.Fatalf("%v after the restart a map counts on it", since)
		}
		if since > 8*time.Second {
			return
		}
	}
}

// TestAPOPHangs: a POP whose processes stand still gets no visitors, although their kernel still opens connections, and is back when they go on.
func TestAPOPHangs(t *testing.T) {
	f := start(t)
	signal := func(s syscall.Signal) {
		for _, n := range []string{"mad-1", "mad-2"} {
			if err := syscall.Kill(f.Node(t, n).PID, s); err != nil {
				t.Fatalf("%v to %s: %v", s, n, err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT) // or the lab could not end them
	took := labtest.Eventually(t, 15*time.Second, "no map counts on a POP that hangs", func() bool { return f.avoided(t, "mad") })
	t.Logf("after %v", took)
	signal(syscall.SIGCONT)
	f.settle(t)
}
