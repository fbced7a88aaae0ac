package tlscert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/filestamp"
)

// ErrLoss says that new files are for fewer than half of the names that there are
// certificates for. That is more often a mistake than meant.
var ErrLoss = errors.New("more than half of the names would lose their certificates")

// Options are how a [Keeper] keeps certificates. Zero fields mean defaults.
type Options struct {
	// Interval is how often [Keeper.Watch] looks at the files. Default 10 s.
	Interval time.Duration
	// Rotation is how long one key seals session tickets. Default 12 h. It
	// opens them for two rotations more.
	Rotation time.Duration
	// Log gets what is doubtful about the files, and what Watch does. Nil discards it.
	Log *slog.Logger
	// Now tells the time. Nil means [time.Now].
	Now func() time.Time
}

// Keeper holds the certificates in use. Its methods may be called at the same time.
type Keeper struct {
	now      func() time.Time
	interval time.Duration
	log      *slog.Logger
	tickets  *ticketKeys
	set      atomic.Pointer[Set]

	mu    sync.Mutex // guards what follows, and the replacement of set
	pairs []Pair
	seen  []filestamp.Stamp // of the files of pairs, before they were read
}

// Open loads pairs of files as [Load] does and keeps them.
func Open(o Options, pairs ...Pair) (*Keeper, error) {
	k := &Keeper{now: o.Now, interval: cmp.Or(o.Interval, 10*time.Second), log: o.Log}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.tickets = newTicketKeys(cmp.Or(o.Rotation, 12*time.Hour), k.now())
	if err := k.load(pairs, true); err != nil {
		return nil, err
	}
	return k, nil
}

// Set returns the certificates in use.
func (k *Keeper) Set() *Set { return k.set.Load() }

// NotAfter returns when the first of the certificates in use expires.
func (k *Keeper) NotAfter() time.Time { return k.Set().NotAfter() }

// Reload reads the files again. On an error, one that wraps [ErrLoss] included, the
// certificates in use stay.
func (k *Keeper) Reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("tlscert: reloading: %w", err)
	}
	return k.load(k.pairs, false)
}

// Replace reads other files in place of those kept so far. Unless loss is accepted, it may end
// with [ErrLoss]. On an error everything stays as it was.
func (k *Keeper) Replace(ctx context.Context, acceptLoss bool, pairs ...Pair) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("tlscert: replacing certificates: %w", err)
	}
	return k.load(pairs, acceptLoss)
}

// load reads pairs and swaps them in. Except in Open, mu is held.
func (k *Keeper) load(pairs []Pair, acceptLoss bool) error {
	seen := look(pairs) // before reading, so that a change meanwhile is seen the next time
	next, err := Load(k.now(), pairs...)
	if err != nil {
		return err
	}
	if !acceptLoss {
		if before, after := k.Set().size(), next.size(); 2*after < before {
			return fmt.Errorf("tlscert: %w: %d names before, %d now", ErrLoss, before, after)
		}
	}
	for _, w := range next.warnings {
		k.log.Warn("a certificate is doubtful", "what", w)
	}
	k.pairs, k.seen = slices.Clone(pairs), seen
	k.set.Store(next)
	return nil
}

// Watch looks at the files each Options.Interval until ctx ends, and reloads them when one has changed, as
// long as it takes: files that do not fit each other yet are no reason to give up. A
// reason for failing is logged once. It also lets go of ticket keys that are too old
// when there are no handshakes that would.
func (k *Keeper) Watch(ctx context.Context) {
	ticker := time.NewTicker(k.interval)
	defer ticker.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		k.tickets.at(k.now())
		reloaded, err := k.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != told:
			told = err.Error()
			k.log.ErrorContext(ctx, "certificates changed and cannot be used; those before stay in use", "error", err)
		case reloaded:
			told = ""
			k.log.InfoContext(ctx, "certificates reloaded", "names", k.Set().size(), "not_after", k.NotAfter())
		}
	}
}

// follow reloads if a file has changed since those in use were read.
func (k *Keeper) follow(ctx context.Context) (reloaded bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.EqualFunc(k.seen, look(k.pairs), filestamp.Stamp.Same) || ctx.Err() != nil {
		return false, nil
	}
	if err := k.load(k.pairs, false); err != nil {
		return false, err
	}
	return true, nil
}

// look returns the stamps of the files of pairs, three of each.
func look(pairs []Pair) []filestamp.Stamp {
	stamps := make([]filestamp.Stamp, 0, 3*len(pairs))
	for _, p := range pairs {
		stamps = append(stamps, filestamp.Of(p.Chain), filestamp.Of(p.Key), filestamp.Of(p.staple()))
	}
	return stamps
}
