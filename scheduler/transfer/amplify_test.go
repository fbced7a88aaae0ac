package transfer_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/transfer"
)

// What anybody can send in another's name, with a TSIG that he has made up, gets an answer that is at most four times
// as long. Names that are there in full cost him most: he points to one that is there already.
func TestAmplification(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, byKey("tsig.test")))
	answered, longest := 0, 0.0
	for _, opt := range []bool{false, true} {
		for _, macs := range []int{0, 16, 32, 40} {
			for _, qtype := range []byte{1, 251, 252} {
				for n := 1; n < 63; n++ {
					name := append([]byte{byte(n)}, bytes.Repeat([]byte("x"), n)...)
					if n > 50 { // as long as a name can be
						name = bytes.Repeat(append([]byte{60}, bytes.Repeat([]byte("x"), 60)...), 4)
					}
					name = append(name, 0)
					packet := []byte{1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}
					packet = append(append(packet, name...), 0, qtype, 0, 1)
					if opt {
						packet[11]++
						packet = append(packet, 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0)
					}
					packet = append(packet, 0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0)
					packet = binary.BigEndian.AppendUint16(packet, uint16(2+10+macs+6))
					packet = append(packet, 0xc0, 12, 0, 0, 0, 0, 0, 0, 1, 44, 0, byte(macs))
					packet = append(append(packet, make([]byte, macs)...), 1, 2, 0, 0, 0, 0)
					for _, reply := range [][]byte{s.Answer(packet, loopback), s.Signed(packet, true, func([]byte) []byte { t.Fatal("believed"); return nil })} {
						if len(reply) > 0 {
							answered++
						}
						if longest = max(longest, float64(len(reply))/float64(len(packet))); len(reply) > 4*len(packet) {
							t.Errorf("a name of %d octets: %d octets for %d", len(name), len(reply), len(packet))
						}
					}
				}
			}
		}
	}
	if t.Logf("%d answers, of %.1f times the query", answered, longest); longest < 2 {
		t.Error("nothing was near the limit")
	}
}
