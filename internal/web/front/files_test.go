package front_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestFewFiles: where fewer files may be open than there may be connections, those who say nothing keep nobody out either.
func TestFewFiles(t *testing.T) {
	const child = "NEARCAST_TEST_FEW_FILES"
	if os.Getenv(child) != "" {
		serveWithFewFiles(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFewFiles$") // the limit would be that of the other tests too
	cmd.Env = append(os.Environ(), child+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	for i := range 200 {
		dialFrom(t, addr, fmt.Sprintf("127.2.0.%d", 1+i%10))
	}
	var last net.Conn
	for i := range 5 {
		last = dialFrom(t, addr, fmt.Sprintf("127.3.%d.1", i))
		ask(t, last, "HTTP/1.1 200 OK")
	}
	ask(t, last, "HTTP/1.1 200 OK")
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func serveWithFewFiles(t *testing.T) {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	files.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	s, _ := newServer(t)
	fmt.Println(start(t, s, false))
	io.Copy(io.Discard, os.Stdin)
}
