package rules

import (
	"fmt"
	"strings"
)

// maxGlob bounds the octets of a pattern; its states must fit into a bitset.
const maxGlob = 255

// bitset is a set of states, 0 to 255.
type bitset [4]uint64

func (s *bitset) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *bitset) has(i int) bool { return s[i>>6]>>(i&63)&1 == 1 }

// glob is a compiled pattern. It is run as a nondeterministic automaton, all of whose
// states are one bitset, so that matching takes one pass over the text whatever the
// pattern (bit-parallel matching after Baeza-Yates and Gonnet). State i means that the first i
// octet elements have matched; a star is a loop at the state before it.
type glob struct {
	prefix string     // what the pattern starts with literally
	exact  bool       // the prefix is all of it
	end    int        // the accepting state
	words  int        // of a bitset that are in use
	class  [256]uint8 // :: octet -> index into steps
	steps  []bitset   // which states an octet leads on from; steps[0] is of octets the pattern does not name
	any    bitset     // states that loop on every octet
	within bitset     // states that loop on every octet but "/"
}

// compilePath compiles the pattern of a path: "*" does not cross "/", "**" does, and "?" is
// one octet other than "/".
func compilePath(pattern string) (*glob, error) { return compileGlob(pattern, true) }

// compileValue compiles the pattern of a value: "*" is any run.
func compileValue(pattern string) (*glob, error) { return compileGlob(pattern, false) }

func compileGlob(pattern string, path bool) (*glob, error) {
	if len(pattern) > maxGlob {
		return nil, fmt.Errorf("pattern of %d octets: at most %d are allowed", len(pattern), maxGlob)
	}
	special := "*"
	if path {
		special = "*?"
	}
	literal := strings.IndexAny(pattern, special)
	if literal < 0 {
		return &glob{prefix: pattern, exact: true}, nil
	}
	g := &glob{prefix: pattern[:literal], steps: make([]bitset, 1)}
	g.class['/'] = g.newClass()
	for i := literal; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' && path && !strings.HasPrefix(pattern[i:], "**"):
			g.within.add(g.end)
		case c == '*':
			g.any.add(g.end)
			i += len(pattern[i:]) - len(strings.TrimLeft(pattern[i:], "*")) - 1
		case c == '?' && path:
			g.wildcard()
		default:
			g.literal(c)
		}
	}
	g.words = g.end>>6 + 1
	return g, nil
}

// newClass gives one octet a step of its own, which starts as that of the others.
func (g *glob) newClass() uint8 {
	g.steps = append(g.steps, g.steps[0])
	return uint8(len(g.steps) - 1)
}

func (g *glob) literal(c byte) {
	if g.class[c] == 0 {
		g.class[c] = g.newClass()
	}
	g.steps[g.class[c]].add(g.end)
	g.end++
}

// wildcard adds an element for every octet but "/".
func (g *glob) wildcard() {
	for i := range g.steps {
		if i != int(g.class['/']) {
			g.steps[i].add(g.end)
		}
	}
	g.end++
}

// match reports whether the whole of s matches.
func (g *glob) match(s string) bool {
	rest, ok := strings.CutPrefix(s, g.prefix)
	if !ok || g.exact {
		return ok && rest == ""
	}
	var states bitset
	states.add(0)
	for i := range len(rest) {
		if !g.step(&states, rest[i]) {
			return false
		}
	}
	return states.has(g.end)
}

// step reads one octet and reports whether any state is left.
func (g *glob) step(states *bitset, c byte) bool {
	on := &g.steps[g.class[c]]
	var carry, alive uint64
	for w := range g.words {
		loops := g.any[w]
		if c != '/' {
			loops |= g.within[w]
		}
		forward := states[w] & on[w]
		states[w] = forward<<1 | carry | states[w]&loops
		carry = forward >> 63
		alive |= states[w]
	}
	return alive != 0
}
