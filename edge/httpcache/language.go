package httpcache

import (
	"strconv"
	"strings"
)

// inLanguage reports whether the response is in the one language that a request wants most.
// Then it is what the origin would choose, whatever else it has to offer, though the two
// requests do not have the same Accept-Language: section 4.1 lets weights be used to choose
// among stored responses. It takes care: Content-Language must name one language, and the
// request must want that very one (RFC 4647 section 3.4: an exact match is found first)
// and any other less.
func (r *Response) inLanguage(accept []string) bool {
	languages := r.Header["Content-Language"]
	if len(languages) != 1 || !isToken(languages[0]) {
		return false
	}
	best, bestWeight, alone := "", 0, false
	for m := range members(accept) {
		tag, rest := cutMember(m, ';')
		weight, ok := languageWeight(rest)
		switch {
		case !ok:
			return false
		case weight > bestWeight:
			best, bestWeight, alone = tag, weight, true
		case weight == bestWeight:
			alone = false
		}
	}
	return alone && strings.EqualFold(best, languages[0])
}

// languageWeight is the weight after a language range, in thousandths.
func languageWeight(parameters string) (thousandths int, ok bool) {
	if parameters == "" {
		return 1000, true
	}
	value, ok := cutPrefixFold(strings.Trim(parameters, " \t"), "q=")
	if !ok {
		return 0, false
	}
	return parseWeight(value)
}

// parseWeight parses a qvalue (RFC 9110 section 12.4.2) into thousandths.
func parseWeight(s string) (thousandths int, ok bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if (whole != "0" && whole != "1") || len(fraction) > 3 || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(whole + (fraction + "000")[:3])
	return n, err == nil && n <= 1000
}

// formatWeight is the shortest form of a qvalue.
func formatWeight(thousandths int) string {
	digits := strconv.Itoa(1000 + thousandths)[1:]
	return "0" + strings.TrimRight("."+strings.TrimRight(digits, "0"), ".")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
