package netfirst_test

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"nearcast/internal/netfirst"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNetworkGoesFirst: a goroutine whose octet has arrived runs before one that yields, on one processor that others keep busy.
func TestNetworkGoesFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b, a, err := os.Pipe() // what is written is there at once, as it is not with TCP
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var y netfirst.Yielder
	var heard atomic.Int32
	var echo sync.WaitGroup
	echo.Go(func() {
		octet := make([]byte, 1)
		for {
			if _, err := b.Read(octet); err != nil {
				return
			}
			heard.Add(1)
		}
	})
	y.Yield() // b waits now
	const times = 200
	late := 0
	for i := range int32(times) {
		a.Write([]byte("x"))
		y.Yield()
		if heard.Load() <= i {
			late++
		}
		for heard.Load() <= i {
			runtime.Gosched()
		}
	}
	if late > times/4 { // the scheduler's monitor takes the processor away now and then, in the middle of a read
		t.Errorf("%d of %d octets were heard after the yield only", late, times)
	}
	a.Close()
	echo.Wait()
}

// TestManyYield: all who yield go on.
func TestManyYield(t *testing.T) {
	var y netfirst.Yielder
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range 100 {
				y.Yield()
			}
		})
	}
	all.Wait()
}

func BenchmarkYield(b *testing.B) {
	var y netfirst.Yielder
	for b.Loop() {
		y.Yield()
	}
}

// TestCrowd: all of a crowd begin, and those who are few do not wait for anything.
func TestCrowd(t *testing.T) {
	c := netfirst.NewCrowd()
	if n := testing.AllocsPerRun(100, func() { c.Enter(); c.Leave() }); n != 0 {
		t.Errorf("%v allocations of one alone, want none", n)
	}
	var all, inside sync.WaitGroup
	inside.Add(1000)
	for range 1000 {
		all.Go(func() {
			c.Enter()
			defer c.Leave()
			inside.Done()
			inside.Wait()
		})
	}
	all.Wait()
}
