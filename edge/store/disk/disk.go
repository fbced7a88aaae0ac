// Package disk keeps objects on one or more disks, in a log of segments: files that are made, filled from front to back
// through a buffer, sealed with a footer and finally removed whole, never changed in place. What is where is in an index
// in memory (package index) that is built from the footers at the start; the octets are package record's.
//
// An object is whole and right, or it is not there: every octet is under a checksum that is compared when it is read, the full
// key is in the record, and nothing is durable that was not synced. It may lose what it was given, to a power cut,
// to a disk that fails or for room; it never gives back anything else.
//
// It does not decide what is worth keeping (package tier does) nor who may have it, and nothing refreshes in place here: a
// new head is a new record.
package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

// Disk is a directory on one disk, which belongs to the store alone.
type Disk struct {
	Path string
	Size int64 // octets that all files in it may take
}

// Config configures a [Store].
type Config struct {
	// Disks are where objects are kept, at least one.
	Disks []Disk
	// FS is the file system; nil is the machine's.
	FS fsys.FS
	// Now is the time of day; nil is time.Now.
	Now func() time.Time
	// Log gets alarms; nil drops them.
	Log *slog.Logger
	// Alive is asked of each object before it is served or kept on: an object that a purge covers is not. It must be
	// fast and must not call the store. nil: all are.
	Alive func(o *store.Object) bool
	// Useful returns until when an object is of any use, even as stale, and when it stops being fresh as far as that can be
	// told, both zero for never. nil goes by the object's own head.
	Useful func(o *store.Object) (fresh, until time.Time)
	// SegmentSize is the size of a segment file in octets, a multiple of 4096 up to 256 MiB; 0 is 256 MiB. On disks with room for less than
	// 16 of them, segments are smaller.
	SegmentSize int64
	// Patience is how long a write waits at most for a disk that does not keep up, before it is refused; 0 is 250 ms.
	Patience time.Duration
	// Hash is the hash of a key; nil is [index.Hash]. Any function will do, if slowly.
	Hash func(key string, seed [16]byte) uint64
}

const (
	maxSegment = 256 << 20
	minSegment = 16 << 10
	// minSegments is how many segments a disk must have room for: two that are filled, two in reserve, and a few to keep things in.
	minSegments = 16
	// numStripes is the number of locks that the hashes share.
	numStripes = 256
)

// Store is a set of objects on disks. All methods may be called at any time from any goroutine; those that look for objects never wait
// for writes, and for reads only as long as a bounded queue takes.
type Store struct {
	config  Config
	fs      fsys.FS
	now     func() time.Time
	log     *slog.Logger
	seed    record.Identity
	volumes []*volume
	seq     atomic.Uint64 // of the last record
	blind   blindness
	warm    chan struct{}
	done    chan struct{} // closed when the store closes
	wg      sync.WaitGroup

	stripes [numStripes]sync.Mutex // by hash: whoever changes what is stored of a key holds its one

	scratch sync.Pool // of *[]byte, for what is read only to be checked

	closing sync.RWMutex // held for reading by whoever changes what is stored
	closed  bool         // guarded by closing

	session sync.Mutex    // held while superblocks change
	sick    chan struct{} // a disk is out, the others have to note it
}

// Open opens the disks, and returns before what is on them is known: see [Store.Warm]. A disk that cannot be used is left out, and said so
// in the log. It is an error if none can be used, if the configuration is wrong, or if a disk was written by a newer version of this program or is
// in use by another process.
func Open(config Config) (*Store, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Store{
		config: config, fs: config.FS, now: config.Now, log: config.Log,
		warm: make(chan struct{}), done: make(chan struct{}), sick: make(chan struct{}, 1),
	}
	for _, d := range config.Disks {
		v, err := s.newVolume(d)
		if err != nil {
			s.release()
			return nil, err
		}
		s.volumes = append(s.volumes, v)
	}
	if err := s.join(); err != nil {
		s.release()
		return nil, err
	}
	s.start()
	return s, nil
}

// complete fills in what was left out, and says what is wrong.
func (c *Config) complete() error {
	if c.FS == nil {
		c.FS = fsys.OS{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Alive == nil {
		c.Alive = func(*store.Object) bool { return true }
	}
	if c.Useful == nil {
		c.Useful = useful
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = maxSegment
	}
	if c.Hash == nil {
		c.Hash = keyedHash
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.SegmentSize < minSegment || c.SegmentSize > maxSegment || c.SegmentSize%4096 != 0 {
		return fmt.Errorf("disk: a segment size of %d octets: it must be a multiple of 4096 from %d to %d", c.SegmentSize, minSegment, maxSegment)
	}
	if len(c.Disks) == 0 {
		return errors.New("disk: no disks: give at least one directory")
	}
	paths := make(map[string]bool)
	for _, d := range c.Disks {
		if d.Path == "" || paths[d.Path] {
			return fmt.Errorf("disk: the directory %q is empty or given twice", d.Path)
		}
		paths[d.Path] = true
		if d.Size < minSegments*minSegment {
			return fmt.Errorf("disk: %s: a size of %d octets is too small, the least is %d", d.Path, d.Size, minSegments*minSegment)
		}
	}
	return nil
}

// start begins the work in the background.
func (s *Store) start() {
	var warming sync.WaitGroup
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		warming.Add(1)
		s.wg.Go(func() {
			defer warming.Done()
			v.rebuild()
		})
		s.wg.Go(v.flushing)
		s.wg.Go(v.syncing)
		s.wg.Go(v.reclaiming)
	}
	s.wg.Go(s.regrouping)
	s.wg.Go(func() {
		warming.Wait()
		s.blind.forget()
		close(s.warm)
	})
}

// Warm returns a channel that is closed when all that is on the disks is known.
func (s *Store) Warm() <-chan struct{} { return s.warm }

func (s *Store) warming() bool {
	select {
	case <-s.warm:
		return false
	default:
		return true
	}
}

// Roomy reports whether less than half of the room has been used so far: whatever comes may be kept.
func (s *Store) Roomy() bool {
	for _, v := range s.volumes {
		if !v.dead() && !v.roomy() {
			return false
		}
	}
	return true
}

func (v *volume) roomy() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.lapped.Load() && v.used < v.size/2
}

// Close writes what is buffered, and what makes the next Open fast. Afterwards nothing is found and nothing is stored. The error is
// that of the disks which could not be written to the end; what they had is not lost by it, but for the last second.
func (s *Store) Close() error {
	s.closing.Lock()
	if s.closed {
		s.closing.Unlock()
		return nil
	}
	s.closed = true
	s.closing.Unlock()
	close(s.done)
	s.wg.Wait()
	var errs []error
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		if err := v.checkpoint(); err != nil {
			errs = append(errs, fmt.Errorf("closing the disk %s: %w", v.path, err))
		}
	}
	s.release()
	return errors.Join(errs...)
}

// release gives back what the volumes hold.
func (s *Store) release() {
	for _, v := range s.volumes {
		v.close()
	}
}

func (s *Store) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// hash is the index's hash: all variants of a key have the same.
func (s *Store) hash(key cdn.CacheKey) uint64 { return s.config.Hash(string(key), s.seed) }

func (s *Store) stripe(hash uint64) *sync.Mutex { return &s.stripes[mix(hash)%numStripes] }

func randomIdentity() (id record.Identity) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}
