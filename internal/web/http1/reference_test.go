package http1_test

import (
	"regexp"
	"strconv"
	"strings"
)

// This is a second reading of RFC 9112, as short and as strict as it can be: whole messages,
// regular expressions, no states. What the server accepts must be found here too.

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"

var (
	requestLineForm = regexp.MustCompile(`^(` + token + `) ([!-"$-~]+) HTTP/1\.([0-9])$`)
	fieldForm       = regexp.MustCompile(`^(` + token + `):[ \t]*((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*$`)
	chunkForm       = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?$`)
)

// latin1 makes a character of each octet, for the sake of regexp.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// octets undoes latin1.
func octets(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// refMessage is a message as the reference reads it.
type refMessage struct {
	method, target string
	minor          int
	fields         [][2]string // names in lower case
	body           string
	size           int // octets of the whole
}

func (m *refMessage) values(name string) (values []string) {
	for _, f := range m.fields {
		if f[0] == name {
			values = append(values, f[1])
		}
	}
	return values
}

// readHead reads a head; size is its length then.
func refHead(s string) (m refMessage, ok bool) {
	blank := 0
	for ; strings.HasPrefix(s[blank:], "\r\n"); blank += 2 {
	}
	head, _, ok := strings.Cut(s[blank:], "\r\n\r\n")
	if !ok || blank > 4 {
		return m, false
	}
	m.size = blank + len(head) + 4
	lines := strings.Split(head, "\r\n")
	parts := requestLineForm.FindStringSubmatch(latin1(lines[0]))
	if parts == nil {
		return m, false
	}
	m.method, m.target, m.minor = parts[1], parts[2], min(int(parts[3][0]-'0'), 1)
	for _, l := range lines[1:] {
		parts := fieldForm.FindStringSubmatch(latin1(l))
		if parts == nil {
			return m, false
		}
		m.fields = append(m.fields, [2]string{strings.ToLower(parts[1]), octets(parts[2])})
	}
	hosts := len(m.values("host"))
	return m, hosts == 1 || hosts == 0 && m.minor == 0
}

// refBody adds the body to a head.
func refBody(m refMessage, s string) (refMessage, bool) {
	codings, lengths := m.values("transfer-encoding"), m.values("content-length")
	switch {
	case len(codings)+len(lengths) == 0:
		return m, true
	case len(codings)+len(lengths) > 1 || len(codings) == 1 && (m.minor == 0 || strings.ToLower(codings[0]) != "chunked"):
		return m, false
	case len(codings) == 1:
		body, size, ok := refChunks(s[m.size:])
		m.body, m.size = body, m.size+size
		return m, ok
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil || len(lengths[0]) > 18 || strings.Trim(lengths[0], "0123456789") != "" || n > uint64(len(s)-m.size) {
		return m, false
	}
	m.body = s[m.size : m.size+int(n)]
	m.size += int(n)
	return m, true
}

// refChunks reads a body in chunks and returns how many octets it takes.
func refChunks(s string) (body string, size int, ok bool) {
	rest := s
	for {
		line, after, ok := strings.Cut(rest, "\r\n")
		parts := chunkForm.FindStringSubmatch(latin1(line))
		if !ok || parts == nil {
			return "", 0, false
		}
		n, err := strconv.ParseInt(parts[1], 16, 64)
		if err != nil {
			return "", 0, false
		}
		if n == 0 {
			rest = after
			break
		}
		if n+2 > int64(len(after)) || after[n:n+2] != "\r\n" {
			return "", 0, false
		}
		body += after[:n]
		rest = after[n+2:]
	}
	for {
		line, after, ok := strings.Cut(rest, "\r\n")
		if ok && line == "" {
			return body, len(s) - len(after), true
		}
		if !ok || !fieldForm.MatchString(latin1(line)) {
			return "", 0, false
		}
		rest = after
	}
}
