package failover_test

import (
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/loadtest/labtest"
)

// TestPOPHangs: a POP whose processes are all stopped is left, though its kernel opens connections for them; and it is not in the map again because
// the route-quality server has been restarted meanwhile.
func TestPOPHangs(t *testing.T) {
	f := start(t)
	nodes := []string{"mad-1", "mad-2"}
	signal := func(s syscall.Signal) {
		for _, n := range nodes {
			if err := syscall.Kill(f.pid(t, n), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	resume := func() { signal(syscall.SIGCONT) }
	defer func() { resume() }()
	begin := time.Now()
	labtest.Eventually(t, 40*time.Second, "no map counts on a POP that hangs", func() bool { return f.avoided(t, "mad") })
	t.Logf("POP hangs -> every scheduler's map: %.1f s", time.Since(begin).Seconds())
	resume()
	resume = func() {}
	f.settle(t)
}

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

// pid returns the number of a process.
func (f *fleet) pid(t *testing.T, process string) int {
	t.Helper()
	f.Reload(t)
	for _, p := range f.Processes {
		if p.Name == process || p.Name == process+".edge" {
			return p.PID
		}
	}
	t.Fatalf("there is no process %s", process)
	return 0
}
