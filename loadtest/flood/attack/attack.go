package attack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Target is the server to attack.
type Target struct {
	// Plain and TLS are where it serves, host:port.
	Plain string `json:"plain"`
	TLS   string `json:"tls"`
	// Small and Large are paths of objects of one packet and of more than any window.
	Small string `json:"small"`
	Large string `json:"large"`
	// Drip is how often a slow attacker moves: 1 s if zero.
	Drip time.Duration `json:"drip"`
	// Network is the second octet of the attackers' addresses, 127.Network.x.y: 1 if zero.
	Network byte `json:"network"`
}

// Attack is a class of attacks.
type Attack struct {
	// Name is one word.
	Name string
	// What says what it does, with its reference.
	What string
	// Slow tells an attack by many connections that hardly move from one by a few at full speed.
	Slow bool
	// Plain says that it goes to the port without TLS.
	Plain bool
	// Abuse says that no visitor does the like: a server has to notice, and to say so.
	Abuse bool

	run func(*session) error
}

// All returns every attack.
func All() []Attack {
	abuses := slices.Concat(streamAttacks(), headerAttacks(), frameAttacks())
	for i := range abuses {
		abuses[i].Abuse = true
	}
	return append(abuses, slowAttacks()...)
}

// ByName returns the attack of that name.
func ByName(name string) (Attack, error) {
	for _, a := range All() {
		if a.Name == name {
			return a, nil
		}
	}
	return Attack{}, fmt.Errorf("no attack %q", name)
}

// Tally is what became of an attack.
type Tally struct {
	// Connections were made, as far as the attack needs them; Refused could not be.
	Connections int64 `json:"connections"`
	Refused     int64 `json:"refused"`
	// Cut is how many of them the server ended.
	Cut int64 `json:"cut"`
	// Units is how often the attack was done: frames, requests, octets, as it goes.
	Units int64 `json:"units"`
	// Said counts the server's last words.
	Said map[string]int64 `json:"said"`
}

// Words returns the last words, the most frequent first.
func (t Tally) Words() []string {
	words := slices.Collect(maps.Keys(t.Said))
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.Said[b], t.Said[a]), cmp.Compare(a, b))
	})
	return words
}

// counter is a Tally that several goroutines add to.
type counter struct {
	mu    sync.Mutex // guards tally
	tally Tally
}

func (c *counter) add(f func(*Tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.tally)
}

// Run attacks with n connections at a time until ctx ends. A connection that is cut is made again at once. It calls begun once,
// when the first attacker has come through: has connected, and shaken hands if the attack comes after that.
func (a Attack) Run(ctx context.Context, t Target, n int, begun func()) (Tally, error) {
	d, err := newDialer(a, t, sync.OnceFunc(begun))
	if err != nil {
		return Tally{}, fmt.Errorf("attack %s: %w", a.Name, err)
	}
	count := counter{tally: Tally{Said: make(map[string]int64)}}
	var attackers sync.WaitGroup
	for range n {
		attackers.Go(func() {
			for ctx.Err() == nil {
				a.once(ctx, d, &count)
			}
		})
	}
	attackers.Wait()
	return count.tally, nil
}

// pauseRefused is how long an attacker waits who could not even connect.
const pauseRefused = 5 * time.Millisecond

// once is the life of one connection.
func (a Attack) once(ctx context.Context, d *dialer, count *counter) {
	refused := func(err error) {
		count.add(func(t *Tally) {
			t.Refused++
			t.Said[ending(err)]++
		})
		pause(ctx, pauseRefused)
	}
	conn, err := d.dial(ctx)
	if err != nil {
		if ctx.Err() == nil {
			refused(err)
		}
		return
	}
	s := &session{ctx: ctx, tcp: conn, conn: conn, target: d.target, hello: d.hello, begun: d.begun}
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	err = a.run(s)
	ended := ctx.Err() != nil // by us
	s.abort()
	s.reading.Wait()
	if errors.Is(err, errNotYet) {
		if !ended {
			refused(err)
		}
		return
	}
	count.add(func(t *Tally) {
		t.Connections++
		t.Units += s.units
		if ended || errors.Is(err, errOwn) {
			return
		}
		t.Cut++
		t.Said[s.lastWords(err)]++
	})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// local reports whether an address is of this machine.
func local(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("target %s is not on this machine", addr)
	}
	return nil
}
