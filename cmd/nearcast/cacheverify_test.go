package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

// damage flips a bit of some content in a file of the node's disk, once it is there.
func (s *shop) damage(t *testing.T) {
	t.Helper()
	flipped := false
	labtest.Eventually(t, 10*time.Second, "content on disk", func() bool {
		names, err := filepath.Glob(filepath.Join(s.dir, "cache", "*.segment"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			flipped = flipped || flip(t, name)
		}
		return flipped
	})
}

func flip(t *testing.T, name string) bool {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 1<<20)
	n, err := f.ReadAt(head, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(head[:n], []byte("0123456789abcdef0123456789abcdef"))
	if at < 0 {
		return false
	}
	if _, err := f.WriteAt([]byte{head[at] ^ 1}, int64(at)); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestCacheVerify: what is damaged on disk is found, said, dropped and fetched again; Ctrl-C ends the search.
func TestCacheVerify(t *testing.T) {
	s := startShop(t, filepath.Join(t.TempDir(), "node"))
	const n = 40
	for i := range n {
		if _, err := visit(t.Context(), s.addr, fmt.Sprint("/img/", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.damage(t)
	out, err := s.cache(t, "verify", "--rate", "0", "-o", "json")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, `"damaged": 1`) || !strings.Contains(out, "1 record damaged and dropped") {
		t.Errorf("with a damaged record: %v\n%s", err, out)
	}
	if out, err := s.cache(t, "verify", "--rate", "0", "-o", "json"); err != nil || !strings.Contains(out, fmt.Sprintf(`"records": %d,`, n-1)) {
		t.Errorf("once more: %v\n%s", err, out)
	}
	if out, err := s.cache(t, "stats", "-o", "json"); err != nil || !strings.Contains(out, fmt.Sprintf(`"records": %d,`, 2*n-1)) {
		t.Errorf("the node has counted otherwise: %v\n%s", err, out)
	}

	slow := exec.CommandContext(t.Context(), labtest.Program(t), "cache", "verify", "--rate", "1KiB", "--dir", s.dir)
	var said, printed bytes.Buffer
	told, err := slow.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	slow.Stdout = &printed
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 200)
	k, err := told.Read(first) // it has begun
	if err != nil {
		t.Fatal(err)
	}
	said.Write(first[:k])
	if err := slow.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := said.ReadFrom(told); err != nil {
		t.Error(err)
	}
	if err := slow.Wait(); err == nil || !strings.Contains(said.String(), "stopped before its end") || !strings.Contains(printed.String(), "RECORDS") {
		t.Errorf("after Ctrl-C: %v\n%s\n%s", err, said.String(), printed.String())
	}
	labtest.Eventually(t, 10*time.Second, "another one may run", func() bool {
		_, err := s.cache(t, "verify", "--rate", "0")
		return err == nil
	})
}

// TestCacheOfDeadNode: a node that was killed is said to be dead; the next one has its socket, and a third one does not take it.
func TestCacheOfDeadNode(t *testing.T) {
	s := startShop(t, filepath.Join(t.TempDir(), "node"))
	if _, err := visit(t.Context(), s.addr, "/img/a"); err != nil {
		t.Fatal(err)
	}
	if out, err := s.cache(t, "drop", "http://www.shop.example/img/a"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.process.Wait()
	if out, err := s.cache(t, "stats"); err == nil || !strings.Contains(out, "start it again") {
		t.Errorf("of a dead node: %v\n%s", err, out)
	}
	s.start(t)
	if out, err := s.cache(t, "ls"); err != nil || strings.Contains(out, "/img/a") {
		t.Errorf("after a restart: %v\n%s", err, out)
	}

	other := exec.CommandContext(t.Context(), labtest.Program(t), "edge", "--listen", freeport.Addr(t), "--origin", s.origin, "--dir", s.dir)
	said, err := other.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1000)
	k, err := said.Read(first)
	if err != nil || !strings.Contains(string(first[:k]), "another nearcast edge that runs has the same state directory") {
		t.Errorf("a second node in the same place: %v, %s", err, first[:k])
	}
	other.Process.Kill()
	other.Wait()
	if out, err := s.cache(t, "stats"); err != nil {
		t.Errorf("after a second node: %v\n%s", err, out)
	}
}
