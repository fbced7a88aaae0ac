package cdn

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of a regular expression. Matching takes time in proportion to both its size and
// the path's length.
const (
	maxRegexp        = 512  // octets
	maxRegexpProgram = 1000 // instructions
)

// CompileRegexp compiles a regular expression in Go's syntax, which is RE2's: matching
// takes linear time. Its size is bounded.
func CompileRegexp(s string) (*regexp.Regexp, error) {
	re, _, err := compileRegexp(s)
	return re, err
}

// RegexpCost returns the number of instructions that a regular expression compiles to,
// at most 1000, or zero if it does not compile.
func RegexpCost(s string) int {
	_, cost, _ := compileRegexp(s)
	return cost
}

func compileRegexp(s string) (*regexp.Regexp, int, error) {
	if s == "" || len(s) > maxRegexp {
		return nil, 0, Errorf(Invalid, "", "regular expression %q: want 1 to %d octets", clip(s), maxRegexp)
	}
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, 0, Errorf(Invalid, "", "regular expression %q: %w", clip(s), err)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, 0, Errorf(Invalid, "", "regular expression %q: %w", clip(s), err)
	}
	if n := len(program.Inst); n > maxRegexpProgram {
		return nil, 0, Errorf(Invalid, "", "regular expression %q is too large: it compiles to %d steps, at most %d are allowed", clip(s), n, maxRegexpProgram)
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, 0, Errorf(Invalid, "", "regular expression %q: %w", clip(s), err)
	}
	return re, len(program.Inst), nil
}

// Template is a text in which $0 to $9 stand for what a regular expression and its groups
// have matched; $$ is a dollar. It is immutable.
type Template struct {
	parts []templatePart
}

// templatePart is a text and the group that follows it.
type templatePart struct {
	text  string
	group int // -1 for none
}

// ParseTemplate parses a template.
func ParseTemplate(s string) (Template, error) {
	var t Template
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' {
			text.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '$':
			text.WriteByte('$')
		case i < len(s) && '0' <= s[i] && s[i] <= '9':
			t.parts = append(t.parts, templatePart{text.String(), int(s[i] - '0')})
			text.Reset()
		default:
			return Template{}, Errorf(Invalid, "", `%q has a "$" without a digit; write $1 for a group and $$ for a dollar`, clip(s))
		}
	}
	t.parts = append(t.parts, templatePart{text.String(), -1})
	return t, nil
}

// Groups returns the highest group that t uses, or -1.
func (t Template) Groups() int {
	highest := -1
	for _, p := range t.parts {
		highest = max(highest, p.group)
	}
	return highest
}

// Expand returns the text with group(n) in place of $n. A nil group puts "x" there,
// which shows what the text alone looks like.
func (t Template) Expand(group func(n int) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		switch {
		case p.group < 0:
		case group == nil:
			b.WriteByte('x')
		default:
			b.WriteString(group(p.group))
		}
	}
	return b.String()
}

// Literal returns the text before the first group.
func (t Template) Literal() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].text
}
