// Package fill lets many readers share one fetch: of a key there is at most one
// fetch running that newcomers may join, and its bytes go to every reader as they
// arrive.
//
// It is not for HTTP: what the head of a fill says, and whether it may be shared or
// stored, is its user's business.
package fill

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/cdn"
)

// Limits bound a Group. Every field must be positive, but for those that say otherwise.
type Limits struct {
	Fills     int // that run at the same time; 0 means any number
	PerClient int // of them started for one client; 0 means any number
	// Patience is how long a fill whose head is not known yet goes on when nobody waits for it any more. One that is over soon is better
	// brought to its end than begun again, and one that is not is a source's time for nobody.
	Patience time.Duration

	Keep   int64 // octets that one fill may keep; beyond it the fill goes on in a window
	Budget int64 // octets that all fills together may keep
	Window int64 // octets, at most, that a fill without room keeps before and behind its fastest reader
}

// Errors of [Group.Join].
var (
	// ErrBusy is that there are as many fills as there may be, ErrBusyClient that the client has as many as it may have.
	ErrBusy       = errors.New("too many fetches are running")
	ErrBusyClient = errors.New("too many fetches are running for this client")
	// ErrClosed is that the group is closed.
	ErrClosed = errors.New("no fetch is started any more")
)

// Group is a set of running fills. H is the type of their heads.
type Group[H any] struct {
	limits  Limits
	kept    atomic.Int64 // octets kept by all fills
	reads   atomic.Int64 // readers of all fills
	windows atomic.Int64 // fills that are not kept

	base   context.Context // of all fills
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the following; taken before Fill.commit
	running map[cdn.CacheKey]map[*Fill[H]]struct{}
	clients map[string]int // fills started for each
	count   int
	closed  bool
}

// Fill is one running fetch.
type Fill[H any] struct {
	// Stream is the body.
	Stream
	key   cdn.CacheKey
	group *Group[H]
	ask   Ask[H]        // of whoever started it
	ready chan struct{} // closed when head is set
	hints hints[H]

	head     H
	joinable bool // guarded by group.mu: newcomers may have it

	commit   sync.Mutex // guards the following
	detached bool
}

// Run fetches: it must call Announce, and then either ReadFrom or Finish, on the fill, and
// return when its goroutines are gone. ctx ends when nobody wants the fill any more.
type Run[H any] func(ctx context.Context, f *Fill[H])

// NewGroup returns an empty group.
func NewGroup[H any](limits Limits) *Group[H] {
	g := &Group[H]{limits: limits, running: make(map[cdn.CacheKey]map[*Fill[H]]struct{}), clients: make(map[string]int)}
	g.base, g.cancel = context.WithCancel(context.Background())
	return g
}

// Ask is what a newcomer wants of a group.
type Ask[H any] struct {
	// Variant tells fills of one key apart: a newcomer joins those of its own only.
	Variant string
	// Span is the part of the content that is wanted, and what a fill that is started
	// for this ask asks its source for.
	Span Span
	// Shared lets others join that fill.
	Shared bool
	// Background says that the fill is worth having though nobody waits for it.
	Background bool
	// Client is whose share of all fills that one counts for; empty for nobody's.
	Client string
	// Accept reports whether a fill with this head is for the newcomer, and from which
	// octet of the fill's body on. Nil joins none. It runs under the group's lock.
	Accept func(H) (at int64, ok bool)
}

// Join returns a reader of a running fill of key, or of a new one. A running fill is
// joined if its head is not known yet and it asks for what is wanted, or if ask accepts its
// head. Otherwise start is asked for a new one. start runs under the group's lock, so that nothing can finish or
// be detached meanwhile: it is the place for a last look into the store, and returns
// nil if that makes the fill needless. Join then returns nil and no error. It returns [ErrBusy], [ErrBusyClient] or [ErrClosed] if
// a fill is needed and must not be started.
func (g *Group[H]) Join(key cdn.CacheKey, ask Ask[H], start func() Run[H]) (r *Reader[H], started bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ask.Accept != nil {
		if r := g.joinLocked(key, ask); r != nil {
			return r, false, nil
		}
	}
	run := start()
	if run == nil {
		return nil, false, nil
	}
	if err := g.mayStartLocked(ask.Client); err != nil {
		return nil, false, err
	}
	return g.startLocked(key, ask, run), true, nil
}

func (g *Group[H]) mayStartLocked(client string) error {
	switch lim := g.limits; {
	case g.closed:
		return ErrClosed
	case lim.Fills > 0 && g.count >= lim.Fills:
		return ErrBusy
	case lim.PerClient > 0 && client != "" && g.clients[client] >= lim.PerClient:
		return ErrBusyClient
	}
	return nil
}

func (g *Group[H]) joinLocked(key cdn.CacheKey, ask Ask[H]) *Reader[H] {
	for f := range g.running[key] {
		if !f.joinable || f.ask.Variant != ask.Variant {
			continue
		}
		at, ok := int64(0), f.ask.Span.Covers(ask.Span)
		select {
		case <-f.ready:
			at, ok = ask.Accept(f.head)
		default:
		}
		if !ok {
			continue
		}
		if r := f.attach(at); r != nil {
			return r
		}
	}
	return nil
}

func (g *Group[H]) startLocked(key cdn.CacheKey, ask Ask[H], run Run[H]) *Reader[H] {
	ctx, cancel := context.WithCancel(g.base)
	f := &Fill[H]{key: key, group: g, ask: ask, ready: make(chan struct{}), joinable: ask.Shared}
	f.hints.init()
	f.init(g.limits, &g.kept, &g.reads, &g.windows, cancel)
	if g.running[key] == nil {
		g.running[key] = make(map[*Fill[H]]struct{})
	}
	g.running[key][f] = struct{}{}
	g.count++
	if ask.Client != "" {
		g.clients[ask.Client]++
	}
	r := f.attach(0)
	g.wg.Go(func() {
		defer g.remove(f)
		defer cancel()
		run(ctx, f)
		f.release()
	})
	return r
}

func (g *Group[H]) remove(f *Fill[H]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	if c := f.ask.Client; c != "" {
		if g.clients[c]--; g.clients[c] == 0 {
			delete(g.clients, c)
		}
	}
	g.forgetLocked(f)
}

func (g *Group[H]) forgetLocked(f *Fill[H]) {
	delete(g.running[f.key], f)
	if len(g.running[f.key]) == 0 {
		delete(g.running, f.key)
	}
}

// abandon ends the fill if its head is not known and nobody has come to wait for it.
func (f *Fill[H]) abandon() {
	if f.headKnown() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.done && len(f.cursors) == 0 {
		f.abandonLocked()
	}
}

func (f *Fill[H]) headKnown() bool {
	select {
	case <-f.ready:
		return true
	default:
		return false
	}
}

// Announce publishes the head. If shared is false, the fill is its starter's alone
// from now on: those who joined must look elsewhere, and newcomers do not find it.
func (f *Fill[H]) Announce(head H, shared bool) {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.head = head
	f.joinable = f.joinable && shared
	close(f.ready)
}

// Commit calls store, unless the fill has been detached. A purge that begins
// meanwhile waits for it. From then on newcomers look for what was stored instead
// of joining the fill.
func (f *Fill[H]) Commit(store func()) {
	if !f.CommitPart(store) {
		return
	}
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.joinable = false
}

// CommitPart is Commit for a part of what the fill brings: newcomers may still join it. It
// reports whether store was called.
func (f *Fill[H]) CommitPart(store func()) bool {
	f.commit.Lock()
	defer f.commit.Unlock()
	if !f.detached {
		store()
	}
	return !f.detached
}

// Detach makes the running fills of a key end unseen: their readers go on, newcomers do not
// find them, and they never commit. Then it calls forget, which removes what is stored,
// before any new fill can start from it.
func (g *Group[H]) Detach(key cdn.CacheKey, forget func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.detachLocked(key)
	forget()
}

// DetachAll is Detach for every key.
func (g *Group[H]) DetachAll(forget func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range g.running {
		g.detachLocked(key)
	}
	forget()
}

// DetachIf is Detach for the fills that are covered, by their key and, once that is known, their head; before it
// is the zero value. covered runs under the group's lock.
func (g *Group[H]) DetachIf(covered func(key cdn.CacheKey, head H) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, fills := range g.running {
		for f := range fills {
			var head H
			if f.headKnown() {
				head = f.head
			}
			if covered(key, head) {
				f.detach()
				g.forgetLocked(f)
			}
		}
	}
}

func (g *Group[H]) detachLocked(key cdn.CacheKey) {
	for f := range g.running[key] {
		f.detach()
	}
	delete(g.running, key)
}

// detach is to be called under the group's lock.
func (f *Fill[H]) detach() {
	f.commit.Lock()
	f.detached = true
	f.commit.Unlock()
	f.joinable = false
}

// Running returns the number of fills.
func (g *Group[H]) Running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// Readers returns the number of readers that have not been closed.
func (g *Group[H]) Readers() int { return int(g.reads.Load()) }

// Close ends all fills and waits for them. Join returns nil from now on.
func (g *Group[H]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}

// Fail announces a head that has no body to follow, unless a head has been announced
// already, and ends the stream as broken. Newcomers do not find it.
func (f *Fill[H]) Fail(head H) {
	f.Finish(io.ErrUnexpectedEOF)
	select {
	case <-f.ready:
	default:
		f.Announce(head, true)
	}
}
