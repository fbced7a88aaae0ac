package fill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"nearcast/edge/store"
)

// Sizes of a stream's pieces: small at first, since most bodies are.
const (
	firstPiece = 8 << 10
	largePiece = 128 << 10
)

// ErrAbandoned is what ends a stream that nobody reads and that is not kept.
var ErrAbandoned = errors.New("no reader is left")

// ErrPassed is what a reader gets that has fallen so far behind that its octets are gone.
var ErrPassed = errors.New("the reader is too slow for this stream")

// Stream is a body on its way from one source to many readers. While it is kept whole, nobody waits
// for anybody: readers are served from memory at their own pace. If it outgrows its
// limits or is not to be kept, it becomes a window that goes with the fastest
// reader: the source waits for that one alone, and one that falls out of the window behind it
// gets [ErrPassed]. Waiting for the slowest instead would let one stalled visitor stop all.
type Stream struct {
	limits  Limits
	kept    *atomic.Int64 // of all streams of the group
	reads   *atomic.Int64 // cursors of all streams of the group
	windows *atomic.Int64 // windows of all streams of the group
	cancel  context.CancelFunc

	mu       sync.Mutex // guards the following
	changed  sync.Cond  // on mu: anything below has changed
	pieces   [][]byte   // each of len what has arrived; cap is room
	base     int64      // offset of the first octet of pieces
	end      int64      // octets received
	reserved int64      // of kept, this stream's
	near     int64      // see Near
	held     int64      // see Hold
	unkept   bool       // it was not to be kept from the start
	windowed bool
	done     bool
	err      error // once done: io.EOF if complete
	cursors  map[*cursor]struct{}
}

// cursor is a reader's place in a stream.
type cursor struct{ pos int64 }

func (s *Stream) init(limits Limits, kept, reads, windows *atomic.Int64, cancel context.CancelFunc) {
	s.limits, s.kept, s.reads, s.windows, s.cancel = limits, kept, reads, windows, cancel
	s.held = math.MaxInt64
	s.changed.L = &s.mu
	s.cursors = make(map[*cursor]struct{})
}

// Unkeep makes the stream a window from the start: for a body that is not to be
// stored. It must be called before ReadFrom.
func (s *Stream) Unkeep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unkept = true
	s.windowLocked()
}

// Outgrown reports whether the stream was to be kept and became too large for that.
func (s *Stream) Outgrown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.windowed && !s.unkept
}

// Near says that newcomers who want an octet more than n ahead of what has been received had
// better fetch for themselves. Zero, as at the start, means that they had not. It must be
// called before ReadFrom.
func (s *Stream) Near(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.near = n
}

// Hold keeps a window's octets from offset at on, however far its readers are, until it is called with
// another offset: those that nobody finds elsewhere yet. It takes no memory of octets that the caller has to hold anyway.
func (s *Stream) Hold(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = at
}

// ReadFrom moves the whole body from src to the readers and then finishes the
// stream, with io.EOF if the body is complete. length is its size, or -1 if that is not
// known. beat is called before every read. If the body was kept whole, commit is called
// with it before any reader can know that it has the whole: whoever asks again after the
// end finds what commit stored.
func (s *Stream) ReadFrom(ctx context.Context, src io.Reader, length int64, beat func(), commit func(store.Body)) {
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	for {
		room, err := s.room(ctx, length)
		if err != nil {
			s.Finish(err)
			return
		}
		beat()
		n, err := src.Read(room)
		got := room[:n]
		received := s.received() + int64(n)
		switch {
		case length >= 0 && received == length && (err == nil || errors.Is(err, io.EOF)),
			length < 0 && errors.Is(err, io.EOF):
			if body, kept := s.whole(got); kept {
				commit(body)
			}
			s.advance(got)
			s.Finish(io.EOF)
			return
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("%d of %d octets came: %w", received, length, io.ErrUnexpectedEOF)
		}
		s.advance(got)
		if err != nil {
			s.Finish(err)
			return
		}
	}
}

// whole returns the body that the octets read last complete, and whether all of it
// was kept. Readers do not see these octets yet.
func (s *Stream) whole(got []byte) (store.Body, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.windowed {
		return store.Body{}, false
	}
	pieces := slices.Clone(s.pieces)
	if n := len(pieces); n > 0 {
		pieces[n-1] = pieces[n-1][:len(pieces[n-1])+len(got)]
	}
	return store.NewBody(compact(pieces)...), true
}

func (s *Stream) received() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// room returns where the next octets go: the free end of the last piece or a new
// one. In a window it waits until the fastest reader has caught up.
func (s *Stream) room(ctx context.Context, length int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.windowed && s.end >= s.limits.Keep {
		s.windowLocked()
	}
	for s.windowed {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(s.cursors) == 0 {
			return nil, ErrAbandoned
		}
		slowest, fastest := s.cursorsLocked()
		window := s.window()
		s.trimLocked(min(max(slowest, fastest-window), s.held))
		if s.end-fastest < window {
			break
		}
		s.changed.Wait()
	}
	if n := len(s.pieces); n > 0 && len(s.pieces[n-1]) < cap(s.pieces[n-1]) {
		last := s.pieces[n-1]
		return last[len(last):cap(last)], nil
	}
	return s.growLocked(length), nil
}

// minWindow is the least that a window has, however many there are, in octets.
const minWindow = 128 << 10

// window is how many octets a window may have at the moment: all of them together share the budget.
func (s *Stream) window() int64 {
	return max(minWindow, min(s.limits.Window, s.limits.Budget/max(1, s.windows.Load())))
}

// growLocked adds an empty piece. A known length is met exactly, so that a small
// body takes one piece of its own size.
func (s *Stream) growLocked(length int64) []byte {
	size := int64(firstPiece)
	switch {
	case length > s.end:
		size = min(length-s.end, largePiece)
	case s.end >= largePiece:
		size = largePiece
	}
	if !s.windowed && !s.reserveLocked(size) {
		s.windowLocked()
	}
	piece := make([]byte, 0, size)
	s.pieces = append(s.pieces, piece)
	return piece[:size]
}

func (s *Stream) reserveLocked(n int64) bool {
	if s.kept.Add(n) > s.limits.Budget {
		s.kept.Add(-n)
		return false
	}
	s.reserved += n
	return true
}

// windowLocked stops keeping.
func (s *Stream) windowLocked() {
	if !s.windowed {
		s.windows.Add(1)
	}
	s.windowed = true
	s.kept.Add(-s.reserved)
	s.reserved = 0
}

// cursorsLocked returns the offsets of the slowest and the fastest reader; there must be one.
func (s *Stream) cursorsLocked() (slowest, fastest int64) {
	slowest, fastest = s.end, s.base
	for c := range s.cursors {
		slowest, fastest = min(slowest, c.pos), max(fastest, c.pos)
	}
	return slowest, fastest
}

// trimLocked lets go of the pieces before an offset.
func (s *Stream) trimLocked(before int64) {
	for len(s.pieces) > 0 && s.base+int64(len(s.pieces[0])) <= before && len(s.pieces[0]) > 0 {
		s.base += int64(len(s.pieces[0]))
		s.pieces[0] = nil
		s.pieces = s.pieces[1:]
	}
}

// advance publishes the octets that were read into the room given out last.
func (s *Stream) advance(got []byte) {
	if len(got) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := &s.pieces[len(s.pieces)-1]
	*last = (*last)[:len(*last)+len(got)]
	s.end += int64(len(got))
	s.changed.Broadcast()
}

// Finish ends the stream: readers get err after the last octet, io.EOF meaning that
// the body is complete.
func (s *Stream) Finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLocked(err)
}

// finishLocked ends the stream, if it has not ended before.
func (s *Stream) finishLocked(err error) {
	if !s.done {
		s.done, s.err = true, err
	}
	s.changed.Broadcast()
}

// compact returns the pieces with the last one cut to size if much of it is empty.
func compact(pieces [][]byte) [][]byte {
	out := make([][]byte, 0, len(pieces))
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		if cap(p)-len(p) > len(p)/8 {
			p = append(make([]byte, 0, len(p)), p...)
		}
		out = append(out, p)
	}
	return out
}

// release ends the stream's claim on the group's budget. A run that ended without
// finishing is a failure for its readers.
func (s *Stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLocked(io.ErrUnexpectedEOF)
	if s.windowed {
		s.windows.Add(-1)
	}
	s.kept.Add(-s.reserved)
	s.reserved = 0
}

// open adds a reader at an offset, if that can be had and the body has
// not failed already: a newcomer is better off with a fetch of its own.
func (s *Stream) open(at int64) *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reachesLocked(at) || s.done && !errors.Is(s.err, io.EOF) {
		return nil
	}
	c := &cursor{pos: at}
	s.cursors[c] = struct{}{}
	s.reads.Add(1)
	return c
}

// reachesLocked reports whether a reader may begin at an offset.
func (s *Stream) reachesLocked(at int64) bool {
	return at >= s.base && (s.near == 0 || at <= s.end+s.near)
}

// shut removes a reader, and reports whether a stream that goes on has none any more. One that is not kept ends with its last one.
func (s *Stream) shut(c *cursor) (alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.cursors[c]; open {
		delete(s.cursors, c)
		s.reads.Add(-1)
	}
	if s.windowed && !s.done && len(s.cursors) == 0 {
		s.abandonLocked()
	}
	s.changed.Broadcast()
	return !s.done && len(s.cursors) == 0
}

// abandonLocked ends the stream and its source.
func (s *Stream) abandonLocked() {
	s.finishLocked(ErrAbandoned) // so that nobody joins it on its way out
	s.cancel()
}

// next waits for octets at the cursor and moves it past them.
func (s *Stream) next(ctx context.Context, c *cursor) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end <= c.pos && !s.done {
		stop := context.AfterFunc(ctx, s.wake)
		defer stop()
	}
	for s.end <= c.pos {
		if s.done {
			return nil, s.err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.changed.Wait()
	}
	if c.pos < s.base {
		return nil, ErrPassed
	}
	p := s.atLocked(c.pos)
	c.pos += int64(len(p))
	if s.windowed {
		s.changed.Broadcast() // the source may be waiting for this reader
	}
	return p, nil
}

func (s *Stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// atLocked returns what has arrived of the piece at an offset between base and end.
func (s *Stream) atLocked(pos int64) []byte {
	skip := pos - s.base
	for _, p := range s.pieces {
		if skip < int64(len(p)) {
			return p[skip:len(p):len(p)]
		}
		skip -= int64(len(p))
	}
	return nil
}
