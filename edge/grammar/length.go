package grammar

import "strconv"

// maxLengthDigits keeps lengths within an int64 whatever the digits are.
const maxLengthDigits = 18

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
