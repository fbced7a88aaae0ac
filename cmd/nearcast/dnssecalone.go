package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"nearcast/control/keydir"
	"nearcast/control/wire"
)

// aloneKeys are the keys of a scheduler that stands alone.
type aloneKeys struct {
	dir    string
	folder *keydir.Folder
}

func newAloneKeys(dir, secretFile string) *aloneKeys {
	return &aloneKeys{dir, keydir.New(dir, fleetZoneSecrets(secretFile))}
}

// aloneDir returns the folder of a scheduler that stands alone, if that is what the flags or the environment name.
func (f *operatorFlags) aloneDir() string {
	dir := f.dir
	if dir == "" && os.Getenv("NEARCAST_API") == "" {
		dir = os.Getenv("NEARCAST_DIR")
	}
	if f.api != "" || dir == "" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, keydir.File)); err != nil {
		return "" // what is wrong shows where a lab is looked for
	}
	return dir
}

// DNSSEC shows the keys.
func (k *aloneKeys) DNSSEC(context.Context) (wire.DNSSEC, error) { return k.folder.DNSSEC(time.Now()) }

// RollKey begins a roll-over.
func (k *aloneKeys) RollKey(ctx context.Context) (wire.DNSSEC, error) {
	return k.folder.Roll(ctx, time.Now())
}

// ConfirmKey lets the key that is ready sign.
func (k *aloneKeys) ConfirmKey(ctx context.Context, req wire.ConfirmRequest) (wire.DNSSEC, error) {
	return k.folder.Confirm(ctx, req, time.Now())
}

// awaitLook is how often it is looked whether the scheduler has the keys.
const awaitLook = 50 * time.Millisecond

// await waits until the scheduler has the keys in force. That it has not is talk, not failure: they are its keys, and it takes them when it is back.
func (k *aloneKeys) await(cmd *cobra.Command, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), wait)
	defer cancel()
	tick := time.NewTicker(awaitLook)
	defer tick.Stop()
	for {
		ok, err := k.folder.InForce()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(cmd.ErrOrStderr(), "the keys are changed, but after %s the scheduler of %s has not told that it has them in force; does it run with --dir %s? Its log says what is wrong\n", wait, k.dir, k.dir)
			return cmd.Context().Err()
		case <-tick.C:
		}
	}
}

// warn says if other keys are in force than those that are shown.
func (k *aloneKeys) warn(stderr io.Writer) {
	if ok, err := k.folder.InForce(); err == nil && !ok {
		fmt.Fprintf(stderr, "the scheduler of %s has not told that it has these keys in force; does it run with --dir %s? Its log says what is wrong\n", k.dir, k.dir)
	}
}
