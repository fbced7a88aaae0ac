package store_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/control/store"
)

// envVictim makes the test binary the process that is killed; its value is the
// store's directory.
const envVictim = "NEARCAST_TEST_VICTIM"

// victim appends to both logs for ever and prints each number once it is
// acknowledged.
func victim(dir string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: dir, Addr: "127.0.0.1:0", NodeSecret: "s", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	head, err := s.Head(ctx)
	for gen, i := cdn.Generation(head.Snapshots.Last), 0; err == nil; i++ {
		if gen, err = s.Append(ctx, gen, snapshot("victim")); err != nil {
			break
		}
		var rev cdn.Revision
		if rev, err = s.AppendPurge(ctx, cdn.Purge{ID: fmt.Sprintf("%d-%d", os.Getpid(), i)}); err == nil {
			fmt.Println(gen, rev)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// What was acknowledged survives kill -9, again and again.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var logs [2]string
	for round := range 3 {
		gen, rev := killAfter(t, exe, dir, 20+10*round)
		s := open(t, dir)
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if head.Snapshots.Last < gen || head.Purges.Last < rev {
			t.Errorf("acknowledged were %d and %d, there are %d and %d", gen, rev, head.Snapshots.Last, head.Purges.Last)
		}
		if snap, err := s.Get(t.Context(), cdn.Generation(gen)); err != nil || snap.By != "victim" {
			t.Errorf("version %d: %v", gen, err)
		}
		if ids := [2]string{head.Snapshots.ID, head.Purges.ID}; round == 0 {
			logs = ids
		} else if ids != logs {
			t.Error("the logs have another identity")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter kills a victim after so many acknowledgements and returns the last.
func killAfter(t *testing.T, exe, dir string, acks int) (gen, rev uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), envVictim+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if _, err := fmt.Sscan(lines.Text(), &gen, &rev); err != nil {
			t.Fatal(err)
		}
		if i == acks {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || gen == 0 {
		t.Fatalf("the victim was not killed at work: %v %s", err, stderr.String())
	}
	return gen, rev
}
