package respond_test

import (
	"encoding/binary"
	"testing"

	"nearcast/scheduler/respond"
)

// option is one of OPT, in wire form.
func option(code uint16, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// optRecord is an OPT record with options.
func optRecord(version byte, options ...[]byte) []byte {
	var data []byte
	for _, o := range options {
		data = append(data, o...)
	}
	b := []byte{0, 0, 41, 0x10, 0, 0, version, 0x80, 0}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// Answers that say nothing but what is wrong are bounded as all others are, whatever is asked for beside: as OPT records, other opcodes, cookies alone, names of servers.
func TestAmplificationOfErrors(t *testing.T) {
	f := start(t, zones())
	f.cfg.Node = "a-node-whose-name-has-as-many-characters-as-a-name-can-have-63x"
	f.Responder = respond.New(f.cfg)
	f.state.Signer = signer(t)
	nsid, cookie, keepalive, padding, subnet := option(3), option(10, 1, 2, 3, 4, 5, 6, 7, 8), option(11), option(12), option(8, 0, 1, 0, 0)
	records := map[string][]byte{"no OPT": nil}
	for version := range byte(2) {
		for set := range 32 {
			var all [][]byte
			for i, o := range [][]byte{nsid, cookie, keepalive, padding, subnet} {
				if set>>i&1 == 1 {
					all = append(all, o)
				}
			}
			records[string('0'+version)+string(rune('A'+set))] = optRecord(version, all...)
		}
	}
	questions := map[string][]byte{
		"none": nil, "root": {0, 0, 255, 0, 1}, "root RRSIG": {0, 0, 46, 0, 1}, "id.server": append([]byte("\x02id\x06server\x00"), 0, 16, 0, 3), "hostname.bind": append([]byte("\x08hostname\x04bind\x00"), 0, 16, 0, 3),
		"version.bind": append([]byte("\x07version\x04bind\x00"), 0, 255, 0, 3), "apex RRSIG": append([]byte("\x03cdn\x04test\x00"), 0, 46, 0, 1), "nothing RRSIG": append([]byte("\x01n\x03cdn\x04test\x00"), 0, 46, 0, 1),
		"AXFR": append([]byte("\x03cdn\x04test\x00"), 0, 252, 0, 1), "half": {3, 'c'},
	}
	longest := 0.0
	for opcode := range byte(16) {
		for name, question := range questions {
			for of, record := range records {
				packet := []byte{1, 2, opcode << 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}
				if question != nil {
					packet[5] = 1
				}
				if record != nil {
					packet[11] = 1
				}
				packet = append(append(packet, question...), record...)
				reply := f.octets(packet, "192.0.2.9", respond.UDP)
				longest = max(longest, float64(len(reply))/float64(len(packet)))
				if len(reply) > 4*len(packet) {
					t.Errorf("opcode %d, question %s, OPT %s: %d octets for %d", opcode, name, of, len(reply), len(packet))
				}
			}
		}
	}
	if longest < 3 {
		t.Errorf("the longest answer is %.1f times as long as its query: nothing was near the limit", longest)
	}
}
