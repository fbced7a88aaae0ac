package http1

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if !isTokenOctet(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

// isTokenOctet reports whether c is a tchar. The two masks hold a bit for each of the
// 128 octets of ASCII.
func isTokenOctet(c byte) bool {
	const (
		digits  = (1<<10 - 1) << '0'
		low     = digits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
		letters = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
		high    = letters | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	)
	switch {
	case c < 64:
		return uint64(low)>>c&1 == 1
	case c < 128:
		return uint64(high)>>(c-64)&1 == 1
	}
	return false
}

// isFieldOctet reports whether c may stand in a field's value: visible characters, SP,
// HTAB and obs-text (RFC 9110 section 5.5).
func isFieldOctet(c byte) bool {
	return c == '\t' || c >= ' ' && c != 0x7f
}

// isFieldValue reports whether every octet of s may stand in a field's value.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if !isFieldOctet(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
