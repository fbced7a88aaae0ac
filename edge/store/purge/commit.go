package purge

import (
	"context"
	"errors"
	"fmt"

	"nearcast/edge/store"
)

// Commit makes durable what was invalidated up to an epoch, of as many callers as there are with one sync of the file. It returns nil if
// that is done, or the context's error if that ends first: the sync goes on then, and others wait for it. After another error [Log.Apply]
// says what holds.
func (l *Log) Commit(ctx context.Context, epoch store.Epoch) error {
	select {
	case l.committing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the purge log's disk: %w", ctx.Err())
	}
	if l.synced.Load() >= uint64(epoch) {
		<-l.committing
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- l.sync()
		<-l.committing
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the purge log's disk: %w", ctx.Err())
	}
}

// sync makes durable all that has been written. A file that cannot be synced is given up for a new one.
func (l *Log) sync() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return errClosed
	}
	epoch := l.epoch.Load()
	err := l.journal.sync()
	if err != nil {
		l.stats.failures.Add(1)
		l.log.Error("the purge log could not be synced", "error", err)
		err = l.renew()
	}
	if err != nil {
		return fmt.Errorf("making a purge durable: %w", err)
	}
	l.synced.Store(epoch)
	return nil
}

// sync makes all records durable. After an error the file is not to be relied on, as after one of append.
func (j *journal) sync() error {
	switch {
	case j.durable == j.size:
		return nil
	case j.behind() || j.unsafe || j.file == nil:
		return errors.New("what came before is not on disk")
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.durable = j.size
	return j.mark()
}
