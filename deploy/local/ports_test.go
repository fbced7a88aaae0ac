package local

import (
	"net"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/deploy/plan"
)

func TestCheckPortsNamesEveryTakenPort(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	err = checkPorts([]command{
		{listens: []plan.Listen{{Network: "tcp", Addr: tcp.Addr().String(), For: "API of x"}, {Network: "tcp", Addr: "127.0.0.1:0", For: "free one"}}},
		{listens: []plan.Listen{{Network: "udp", Addr: udp.LocalAddr().String(), For: "DNS of y"}}},
	})
	if cdn.KindOf(err) != cdn.Conflict {
		t.Fatalf("error %v, want a conflict", err)
	}
	for _, want := range []string{tcp.Addr().String() + "/tcp (API of x)", udp.LocalAddr().String() + "/udp (DNS of y)", "--port-base"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "free one") {
		t.Errorf("the error mentions a free port:\n%v", err)
	}
}
