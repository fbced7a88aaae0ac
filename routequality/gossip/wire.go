package gossip

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// directed marks the address of a directed message's stream. No node has such a name.
const directed = "a message to "

// wire is the way to the others. The protocol bounds how long it dials, but not how long a peer may take to read; wire bounds both together.
type wire struct {
	memberlist.NodeAwareTransport
}

// DialAddressTimeout opens a stream that ends when the timeout does. The protocol prolongs those on which it also reads.
func (w wire) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if name, ok := strings.CutPrefix(a.Name, directed); ok {
		a.Name, timeout = name, reliableTimeout
	}
	deadline := time.Now().Add(timeout)
	conn, err := w.NodeAwareTransport.DialAddressTimeout(a, timeout)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("bounding a stream to %s: %w", a.Addr, err)
	}
	return conn, nil
}

// listen gives c a transport: the one that was brought along, or sockets.
func listen(cfg *Config, c *memberlist.Config) error {
	if cfg.Transport != nil {
		c.Transport = wire{cfg.Transport}
		return nil
	}
	c.BindAddr, c.BindPort = cfg.Bind.Addr().String(), int(cfg.Bind.Port())
	sockets, err := listenSockets(c)
	if err != nil {
		return err
	}
	c.BindPort = sockets.GetAutoBindPort()
	c.AdvertisePort = c.BindPort
	if !cfg.Bind.Addr().IsUnspecified() {
		c.AdvertiseAddr = c.BindAddr
	}
	c.Transport = wire{sockets}
	return nil
}

// listenSockets listens on UDP and TCP. A free port of the one may be taken of the other, so port zero is tried ten times.
func listenSockets(c *memberlist.Config) (t *memberlist.NetTransport, err error) {
	for range 10 {
		t, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{c.BindAddr}, BindPort: c.BindPort, Logger: c.Logger})
		if err == nil || c.BindPort != 0 {
			break
		}
	}
	return t, err
}

// outbid makes this member's incarnation number the time of its start in Unix seconds, so that it is above any that its past lives had and
// nothing that was ever said about them, be it remembered or replayed, is believed of this one. The protocol begins at one, and only an accusation
// makes it skip numbers: this member accuses itself, in a packet to itself.
func (p *Pool) outbid(t memberlist.NodeAwareTransport, label string) error {
	const suspect = 3 // the message's type
	name := string(p.self)
	msg := []byte{suspect, 0x83} // a map of three, in msgpack
	msg = appendString(msg, "Incarnation")
	msg = binary.BigEndian.AppendUint32(append(msg, 0xce), uint32(p.local.Load().started.Unix())) //nolint:gosec // until 2106
	msg = appendString(appendString(msg, "Node"), name)
	msg = appendString(appendString(msg, "From"), name)
	packet, err := seal(p.keys.ring.GetPrimaryKey(), label, msg)
	if err != nil {
		return err
	}
	_, err = t.WriteToAddress(packet, memberlist.Address{Addr: p.addr.String(), Name: name})
	return err
}

// appendString appends a msgpack string of at most 65535 octets.
func appendString(b []byte, s string) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s))) //nolint:gosec // below 32
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(s))) //nolint:gosec // a name
	}
	return append(b, s...)
}

// seal makes a packet of the protocol: the label, the version of the encryption, a nonce and the sealed message.
func seal(key []byte, label string, msg []byte) ([]byte, error) {
	const hasLabel, version = 244, 1
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	packet := append([]byte{hasLabel, byte(len(label))}, label...) //nolint:gosec // at most maxLabel
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce)
	packet = append(append(packet, version), nonce...)
	return gcm.Seal(packet, nonce, msg, []byte(label)), nil
}
