package grammar

import "strconv"

// maxLengthDigits keeps lengths within an int64 whatever the digits are.
const maxLengthDigits = 18

// NoLength is the length of content that nobody has told.
const NoLength = -1

// DeclaredLength is the length in the lines of Content-Length, or NoLength if they do not say one.
func DeclaredLength(lines []string) int64 {
	if len(lines) != 1 {
		return NoLength
	}
	n, ok := ParseLength(lines[0])
	if !ok {
		return NoLength
	}
	return n
}

// ParseLength parses the value of Content-Length: digits only, no sign, no list.
func ParseLength(s string) (n int64, ok bool) {
	if len(s) == 0 || len(s) > maxLengthDigits {
		return 0, false
	}
	for i := range len(s) {
		if !IsDigit(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
