package fsys

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Op is a kind of operation.
type Op uint8

// The operations of [FS] and of [File], but for Fd, which does nothing.
const (
	OpOpen Op = iota
	OpCreate
	OpRemove
	OpRename
	OpReadDir
	OpMkdirAll
	OpSyncDir
	OpFree
	OpReadAt
	OpReadCached
	OpWriteAt
	OpSync
	OpSize
	OpChanged
	OpClose
	numOps
)

// String returns the method's name.
func (o Op) String() string {
	if o >= numOps {
		return fmt.Sprintf("Op(%d)", uint8(o))
	}
	return [numOps]string{
		"Open", "Create", "Remove", "Rename", "ReadDir", "MkdirAll", "SyncDir", "Free",
		"ReadAt", "ReadCached", "WriteAt", "Sync", "Size", "Changed", "Close",
	}[o]
}

// Call is one operation.
type Call struct {
	// N counts the operations of one [Faulty], from 1.
	N uint64
	// Op is what is done.
	Op Op
	// Name is the path that it is done to: for a File, the one it was opened by.
	Name string
	// To is the new path of a Rename.
	To string
	// Off is where a read or write begins, in octets.
	Off int64
	// Len is how many octets are read or written, or the size to Create.
	Len int64
}

// Fault is something that goes wrong.
type Fault struct {
	// On tells which calls it can happen to. nil: all. It must not call the [Faulty].
	On func(Call) bool
	// Skip is how many of those go well before.
	Skip int
	// Times is how often it then happens. 0: once; less: for ever.
	Times int

	// Stall is waited for, before anything else, until it is closed or something comes. nil: nothing is.
	Stall <-chan struct{}
	// Err is what the call fails with, in an error with operation and path (but for ErrNotCached and io.EOF, which are always
	// bare). The call is not made. nil: it is made, as the other fields say.
	Err error
	// Short is how much of the beginning a ReadAt, ReadCached or WriteAt that fails with Err does all the same.
	Short int
	// Torn tells, of each sector (512 octets, by its offset in the file) that a WriteAt touches, whether it stays as it
	// was. With an Err it takes the place of Short; without, the WriteAt succeeds: the disk lies. nil: none does.
	Torn func(sector int64) bool
}

// Plan is what a [Faulty] does.
type Plan struct {
	// Faults are what goes wrong. If several want the same call the first has it, and only its count goes on.
	Faults []Fault
	// Before and After are called around each call, on its goroutine, without a lock: they may do anything, even clone
	// what lies beneath. err is the caller's. nil: nothing is.
	Before func(Call)
	After  func(c Call, err error)
}

// Faulty is a file system with faults in front of another one. A Sync that fails leaves what [File] says: on [Mem], what
// was unsynced can still be read and is lost in the next Crash, though later Syncs succeed. What is done to a descriptor (Fd)
// it does not see. It is safe for concurrent use.
type Faulty struct {
	base FS
	plan Plan

	mu       sync.Mutex
	faults   []*fault
	calls    [numOps]uint64
	count    uint64
	injected uint64
}

var _ FS = (*Faulty)(nil)

// fault is a Fault and how many calls it still lets pass and happens to.
type fault struct {
	Fault
	skip, times int
}

// NewFaulty returns a file system like base but for a plan.
func NewFaulty(base FS, plan Plan) *Faulty {
	f := &Faulty{base: base, plan: plan}
	f.Inject(plan.Faults...)
	return f
}

// Inject adds faults, behind those that are there.
func (f *Faulty) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range faults {
		times := one.Times
		if times == 0 {
			times = 1
		}
		f.faults = append(f.faults, &fault{one, one.Skip, times})
	}
}

// Heal takes all faults away. What is stalled stays so.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Count returns how many calls there were, of some kinds or, without any, of all.
func (f *Faulty) Count(ops ...Op) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(ops) == 0 {
		return f.count
	}
	var n uint64
	for _, op := range ops {
		n += f.calls[op]
	}
	return n
}

// Injected returns how often something went wrong.
func (f *Faulty) Injected() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected
}

// do makes one call: right, or as a fault says.
func (f *Faulty) do(c Call, right func() error, wrong func(Call, *Fault) error) error {
	fault := f.begin(&c)
	if f.plan.Before != nil {
		f.plan.Before(c)
	}
	if fault != nil && fault.Stall != nil {
		<-fault.Stall
	}
	var err error
	if fault == nil || fault.Err == nil && (fault.Torn == nil || c.Op != OpWriteAt) {
		err = right()
	} else {
		err = wrong(c, fault)
	}
	if f.plan.After != nil {
		f.plan.After(c, err)
	}
	return err
}

// begin counts a call, and returns what goes wrong with it.
func (f *Faulty) begin(c *Call) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	f.calls[c.Op]++
	c.N = f.count
	for _, one := range f.faults {
		switch {
		case one.times == 0 || one.On != nil && !one.On(*c):
			continue
		case one.skip > 0:
			one.skip--
			continue
		case one.times > 0:
			one.times--
		}
		f.injected++
		return &one.Fault
	}
	return nil
}

// fail returns the error of a fault as a file system would.
func (c Call) fail(err error) error {
	if err == nil || errors.Is(err, ErrNotCached) || errors.Is(err, io.EOF) {
		return err
	}
	return &callError{c, err}
}

// callError is an injected error.
type callError struct {
	call Call
	err  error
}

// Error implements error.
func (e *callError) Error() string {
	return fmt.Sprintf("%v %s (injected into call %d): %v", e.call.Op, e.call.Name, e.call.N, e.err)
}

// Unwrap returns the error of the fault.
func (e *callError) Unwrap() error { return e.err }
