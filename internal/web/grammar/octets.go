package grammar

// IsToken reports whether s is a token (RFC 9110 section 5.6.2).
func IsToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if !IsTokenOctet(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

// IsTokenOctet reports whether c is a tchar. The two masks hold a bit for each of the
// 128 octets of ASCII.
func IsTokenOctet(c byte) bool {
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

// IsFieldOctet reports whether c may stand in a field's value: visible characters, SP,
// HTAB and obs-text (RFC 9110 section 5.5).
func IsFieldOctet(c byte) bool {
	return c == '\t' || c >= ' ' && c != 0x7f
}

// IsFieldValue reports whether every octet of s may stand in a field's value.
func IsFieldValue(s string) bool {
	for i := range len(s) {
		if !IsFieldOctet(s[i]) {
			return false
		}
	}
	return true
}

// IsTargetOctet reports whether c may stand in a request target, which has no fragment (RFC 9110 section 7.1).
func IsTargetOctet(c byte) bool { return ' ' < c && c < 0x7f && c != '#' }

// IsDigit reports whether c is a DIGIT.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsHex reports whether c is a HEXDIG, in any case.
func IsHex(c byte) bool {
	return IsDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// IsAlpha reports whether c is an ALPHA.
func IsAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
