// Package fsys is the one door to the file system for whatever must survive a power cut: the few operations that a
// store of files needs, so that a test can put another file system behind them. There are three: [OS] is the
// machine's; [Mem] lives in memory, and can be cloned as a power cut or the death of the process would leave it; [Faulty]
// puts errors, torn writes and stalls in front of another one.
//
// It is not for configuration files (see package atomicfile), nor for anything that is read or written as a stream.
// Nothing here buffers, and nothing is durable before a Sync and, for names, a SyncDir.
package fsys

import (
	"errors"
	"time"
)

// ErrNotCached is what ReadCached returns when the rest would have to be waited for.
var ErrNotCached = errors.New("not in the page cache")

// FS is a file system. It is safe for concurrent use. Its errors wrap those of package io/fs and syscall (ENOSPC, EIO,
// EMFILE, …), and name operation and path.
type FS interface { //nolint:interfacebloat // it is all that is wanted of a file system
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a file, which must not exist yet, of size octets of zeros, and takes their room, so that ENOSPC comes
	// now rather than in the middle of writing. After an error there is no file. Neither name nor size is durable
	// before both Sync and SyncDir.
	Create(name string, size int64) (File, error)
	// Remove removes a file or an empty directory. What is still open can still be used.
	Remove(name string) error
	// Rename gives a file another name, in place of the file that has it, if any.
	Rename(from, to string) error
	// ReadDir returns the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	// MkdirAll makes a directory and those above it that are missing, for nobody else to read.
	MkdirAll(name string) error
	// SyncDir makes durable what names are in a directory.
	SyncDir(name string) error
	// Free returns how many octets more fit onto the file system that holds name.
	Free(name string) (int64, error)
}

// File is an open file. It is safe for concurrent use; what concurrent writes of the same octets leave is one of
// them or a mixture. After Close every method but Fd returns an error that wraps [os.ErrClosed].
type File interface { //nolint:interfacebloat // it is all that is wanted of a file
	// ReadAt implements [io.ReaderAt].
	ReadAt(p []byte, off int64) (int, error)
	// ReadCached is ReadAt of what is in memory already. It never waits for a disk: what it cannot have at once it leaves
	// out, and returns ErrNotCached (not wrapped) and how much of the beginning it read. Where the system has no such call,
	// nothing is cached.
	ReadCached(p []byte, off int64) (int, error)
	// WriteAt implements [io.WriterAt]. It grows the file if need be. After an error any part of p may have been written.
	WriteAt(p []byte, off int64) (int, error)
	// Sync makes the content and the size durable. If it fails, what was written since the last one may be lost even if
	// a later Sync succeeds: the only remedy is to write it again, elsewhere.
	Sync() error
	// Size returns the file's size in octets.
	Size() (int64, error)
	// Changed returns when the content was last written to, by whomever. Two writes in the same few milliseconds may
	// leave the same time.
	Changed() (time.Time, error)
	// Fd returns the descriptor, for sendfile, or -1 if there is none (any more). It is valid until Close.
	Fd() int
	// Close gives the descriptor back. It makes nothing durable.
	Close() error
}
