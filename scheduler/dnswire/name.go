package dnswire

import (
	"errors"
	"strings"
)

const (
	maxName  = 255 // octets of a name, the root's label included; RFC 1035 section 2.3.4
	maxLabel = 63

	maxPointers = 126 // of a name: as many as can have a label each. More only make work: 64 KiB of pointers to pointers would take a third of a second
)

// nameEnd returns where the uncompressed name that begins at off ends, and how many labels it has, the root's not counted. It
// returns zero for what is no such name.
func nameEnd(packet []byte, off int) (end, labels int) {
	for start := off; ; labels++ {
		if off >= len(packet) {
			return 0, 0
		}
		length := int(packet[off])
		off++
		if length == 0 {
			return off, labels
		}
		if off += length; length > maxLabel || off-start >= maxName {
			return 0, 0
		}
	}
}

// skipName returns where a name that may end in a compression pointer ends; zero for what is no name. Where pointers lead is
// checked too: always back, and to labels, by few pointers.
func skipName(packet []byte, off int) int {
	end, length, first, pointers := 0, 0, off, 0
	for {
		if off >= len(packet) {
			return 0
		}
		c := int(packet[off])
		switch {
		case c == 0:
			if end == 0 {
				end = off + 1
			}
			if length >= maxName {
				return 0
			}
			return end
		case c >= 0xC0:
			if off+1 >= len(packet) {
				return 0
			}
			if end == 0 {
				end = off + 2
			}
			to := (c&0x3F)<<8 | int(packet[off+1])
			if pointers++; to >= first || to < headerLen || pointers > maxPointers {
				return 0
			}
			off, first = to, to
		case c > maxLabel:
			return 0
		default:
			off += 1 + c
			if length += 1 + c; length >= maxName {
				return 0
			}
		}
	}
}

// Lower appends a name in wire form to dst with ASCII letters in lower case (RFC 4343). Lengths of labels are below 64, so that none is
// taken for a letter.
func Lower(dst, name []byte) []byte {
	for _, c := range name {
		dst = append(dst, lower(c))
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// Equal reports whether two names in wire form are the same one, whatever the case of their letters.
func Equal(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

var errName = errors.New("no domain name: labels of 1 to 63 octets, 255 in all, and \\ in front of a character or three decimal digits are expected")

// ParseName appends the wire form of a name as text to dst (RFC 1035 section 5.1): labels between dots, \. for a dot in a label, \DDD for any
// octet. The name is absolute, with or without its last dot; "." is the root.
func ParseName(dst []byte, text string) ([]byte, error) {
	start := len(dst)
	if text == "" {
		return dst, errName
	}
	if text == "." {
		text = ""
	}
	for text != "" {
		label := len(dst)
		var ok bool
		dst, text, ok = parseLabel(append(dst, 0), text)
		length := len(dst) - label - 1
		if !ok || length == 0 || length > maxLabel {
			return dst[:start], errName
		}
		dst[label] = byte(length)
	}
	if dst = append(dst, 0); len(dst)-start > maxName {
		return dst[:start], errName
	}
	return dst, nil
}

// parseLabel appends the octets of the first label of text, and returns what follows its dot.
func parseLabel(dst []byte, text string) (label []byte, rest string, ok bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '.':
			return dst, text[i+1:], true
		case '\\':
			octet, used := parseEscape(text[i+1:])
			if used == 0 {
				return dst, "", false
			}
			dst = append(dst, octet)
			i += used
		default:
			dst = append(dst, c)
		}
	}
	return dst, "", true
}

// parseEscape reads what follows a backslash; used is zero for what may not.
func parseEscape(text string) (octet byte, used int) {
	if text == "" {
		return 0, 0
	}
	if !isDigit(text[0]) {
		return text[0], 1
	}
	if len(text) < 3 || !isDigit(text[1]) || !isDigit(text[2]) {
		return 0, 0
	}
	n := int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
	if n > 255 {
		return 0, 0
	}
	return byte(n), 3
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// FormatName returns a name in wire form as text, with its last dot, escaped so that [ParseName] gives the same octets.
// Of what is no name it has the labels that are whole.
func FormatName(name []byte) string {
	var dst []byte
	for len(name) > 0 && name[0] != 0 && int(name[0]) < len(name) {
		for _, c := range name[1 : 1+name[0]] {
			dst = appendOctet(dst, c)
		}
		dst = append(dst, '.')
		name = name[1+name[0]:]
	}
	if len(dst) == 0 {
		return "."
	}
	return string(dst)
}

func appendOctet(dst []byte, c byte) []byte {
	switch {
	case strings.IndexByte(`."\;()@$`, c) >= 0:
		return append(dst, '\\', c)
	case c <= ' ' || c > '~':
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	}
	return append(dst, c)
}
