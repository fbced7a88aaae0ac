package compile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file. The parser is recursive and an alias can stand for any
// number of nodes, so both are limited before they can cost the process.
const (
	maxSource  = 4 << 20 // octets
	maxDepth   = 32      // nested collections
	maxKeys    = 1000    // in one block mapping
	maxDocs    = 10_000  // documents
	maxAliased = 100_000 // nodes that aliases stand for, together
)

type kind uint8

const (
	kindNull kind = iota
	kindScalar
	kindMapping
	kindSequence
)

var kindNames = [...]string{"nothing", "a single value", "a mapping", "a list"} //nolint:gochecknoglobals // a table that nobody changes

func (k kind) String() string { return kindNames[k] }

// node is a YAML node reduced to what a configuration may use. Scalars keep
// their text: whether "1.10" or "on" is text, a number or a flag is for the field that
// reads it to say, not for the notation.
type node struct {
	kind         kind
	line, column int
	text         string  // of a scalar
	fields       []entry // of a mapping, in order, duplicates included
	items        []*node // of a sequence
}

// entry is a key of a mapping with its value.
type entry struct {
	key, value *node
}

// field returns the value of the first such key, or nil.
func (n *node) field(name string) *node {
	for _, e := range n.fields {
		if e.key.text == name {
			return e.value
		}
	}
	return nil
}

// parse returns the documents of src, or what is wrong with the notation.
func parse(file string, src []byte) (docs []*node, mistakes Mistakes) {
	mistakes = eachDocument(file, src, func(doc *node) { docs = append(docs, doc) })
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return docs, nil
}

// eachDocument calls yield with one document of src after the other, and returns what is wrong with the notation of all. Only one of them is in
// memory as a tree at a time: trees are ten times as large as their text.
func eachDocument(file string, src []byte, yield func(*node)) (mistakes Mistakes) {
	if len(src) > maxSource {
		return Mistakes{{File: file, Message: fmt.Sprintf("the file has %d octets, at most %d are allowed", len(src), maxSource)}}
	}
	if n := bytes.Count(src, []byte("\n---")); n > maxDocs { // or in the middle of one, which takes as many
		return Mistakes{{File: file, Message: fmt.Sprintf("the file has more than %d documents", maxDocs)}}
	}
	for line, more := 0, true; more && len(mistakes) < maxMistakes; {
		text, rest := cutDocument(src)
		docs, ms := parseDocuments(file, string(text), line)
		mistakes = append(mistakes, ms...)
		for _, doc := range docs {
			yield(doc)
		}
		line += bytes.Count(text, []byte("\n"))
		src, more = rest, len(rest) > 0
	}
	return mistakes
}

// cutDocument cuts a text in front of the second line that begins a document (YAML 1.2 section 9.1.2), or of the first if there is something else than comments in
// front of it. Such a line begins one wherever it is, be it within a quoted text.
func cutDocument(src []byte) (text, rest []byte) {
	content := false
	for at := 0; at < len(src); {
		line, _, _ := bytes.Cut(src[at:], []byte("\n"))
		if begins := bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || bytes.IndexByte([]byte(" \t\r"), line[3]) >= 0); begins {
			if content {
				return src[:at], src[at:]
			}
			content = true
		} else if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] != '#' {
			content = true
		}
		at += len(line) + 1
	}
	return src, nil
}

// parseDocuments parses a text that has one document, or a few that end with "...", and begins after so many lines of a file.
func parseDocuments(file, src string, base int) (docs []*node, mistakes Mistakes) {
	c := &converter{file: file, base: base, anchors: make(map[string]*node)}
	defer func() {
		// The parser is somebody else's code under hostile input (design rule 2).
		if r := recover(); r != nil {
			docs, mistakes = nil, Mistakes{{File: file, Line: base + 1, Column: 1, Message: "not valid YAML"}}
		}
	}()
	tokens := lexer.Tokenize(src)
	if ms := gate(file, tokens); len(ms) > 0 {
		for i := range ms {
			ms[i].Line += base
		}
		return nil, ms
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		m := syntaxMistake(file, err)
		m.Line += base
		return nil, Mistakes{m}
	}
	for _, d := range parsed.Docs {
		line, column := 1, 1
		if d.Start != nil {
			line, column = place(d.Start)
		}
		if d.Body == nil {
			docs = append(docs, &node{line: base + line, column: column})
			continue
		}
		docs = append(docs, c.convert(d.Body, 0))
	}
	return docs, c.mistakes
}

func syntaxMistake(file string, err error) Mistake {
	m := Mistake{File: file, Line: 1, Column: 1, Message: "not valid YAML: " + clip(err.Error())}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		m.Message = "not valid YAML: " + clip(e.GetMessage())
		if t := e.GetToken(); t != nil {
			m.Line, m.Column = place(t)
		}
	}
	return m
}

func place(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return max(1, t.Position.Line), max(1, t.Position.Column)
}

// gate refuses what a configuration does not need and what would make the
// parser recurse without bound: tags, merge keys, complex keys, deep nesting.
func gate(file string, tokens token.Tokens) (ms Mistakes) {
	var depth nesting
	for _, t := range tokens {
		message := ""
		switch t.Type {
		case token.TagType:
			message = "YAML tags are not used here; write the value alone"
		case token.MergeKeyType:
			message = `YAML merge keys ("<<") are not used here; write the fields out`
		case token.MappingKeyType:
			message = `YAML complex keys ("?") are not used here`
		case token.DirectiveType:
			message = `YAML directives ("%") are not used here`
		default: // what the files are written in
		}
		if m := depth.add(t); m != "" {
			message = m
		}
		if message == "" {
			continue
		}
		line, column := place(t)
		ms = append(ms, Mistake{File: file, Line: line, Column: column, Message: message})
		if len(ms) >= maxMistakes {
			break
		}
	}
	return ms
}

// nesting estimates, from tokens alone, what the parser would have to carry: how
// deep it would recurse, by the brackets of flow collections and the columns of block
// collections, and how many documents there are and keys in a block mapping, which cost it their square.
type nesting struct {
	docs   int
	flow   int
	blocks []block
}

// block is an open block collection.
type block struct {
	column, keys int
}

// add returns what is wrong with going on to t, or nothing.
func (n *nesting) add(t *token.Token) string {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.flow++
	case token.SequenceEndType, token.MappingEndType:
		n.flow = max(0, n.flow-1)
	case token.DocumentHeaderType, token.DocumentEndType:
		n.blocks = n.blocks[:0]
		if n.docs++; n.docs > maxDocs {
			return fmt.Sprintf("the file has more than %d documents", maxDocs)
		}
	case token.SequenceEntryType:
		n.enter(t)
	case token.MappingValueType:
		if b := n.enter(t.Prev); b != nil {
			if b.keys++; b.keys > maxKeys {
				return fmt.Sprintf("a mapping has more than %d keys", maxKeys)
			}
		}
	default: // neither deeper nor longer
	}
	if n.flow+len(n.blocks) > maxDepth {
		return fmt.Sprintf("nested deeper than %d levels", maxDepth)
	}
	return ""
}

// enter returns the block collection that t is an entry of, or nil within a flow
// collection.
func (n *nesting) enter(t *token.Token) *block {
	if n.flow > 0 || t == nil || t.Position == nil {
		return nil
	}
	column := t.Position.Column
	for len(n.blocks) > 0 && n.blocks[len(n.blocks)-1].column > column {
		n.blocks = n.blocks[:len(n.blocks)-1]
	}
	if len(n.blocks) == 0 || n.blocks[len(n.blocks)-1].column < column {
		n.blocks = append(n.blocks, block{column: column})
	}
	return &n.blocks[len(n.blocks)-1]
}

// converter turns the parser's tree into nodes.
type converter struct {
	file     string
	base     int // lines of the file in front of the text
	mistakes Mistakes
	anchors  map[string]*node // :: anchor -> its finished node
	aliased  int              // nodes that aliases have stood for so far
}

// place is where a token is in the file.
func (c *converter) place(t *token.Token) (line, column int) {
	line, column = place(t)
	return c.base + line, column
}

func (c *converter) mistake(t *token.Token, format string, args ...any) {
	line, column := c.place(t)
	c.mistakes = append(c.mistakes, Mistake{File: c.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

func (c *converter) convert(n ast.Node, depth int) *node {
	out := &node{}
	if n == nil {
		return out
	}
	out.line, out.column = c.place(n.GetToken())
	if depth > maxDepth {
		c.mistake(n.GetToken(), "nested deeper than %d levels", maxDepth)
		return out
	}
	switch v := n.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		c.mapping(out, v.Values, depth)
	case *ast.MappingValueNode:
		c.mapping(out, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		out.kind = kindSequence
		for _, item := range v.Values {
			out.items = append(out.items, c.convert(item, depth+1))
		}
	case *ast.AnchorNode:
		out = c.convert(v.Value, depth)
		c.anchors[name(v.Name)] = out
	case *ast.AliasNode:
		return c.alias(v)
	case *ast.LiteralNode:
		out.kind, out.text = kindScalar, v.Value.Value
	case *ast.StringNode:
		out.kind, out.text = kindScalar, v.Value
	case ast.ScalarNode:
		out.kind, out.text = kindScalar, v.GetToken().Value
	default:
		c.mistake(n.GetToken(), "a YAML %s is not used here", strings.ToLower(n.Type().String()))
	}
	return out
}

func (c *converter) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = kindMapping
	for i, v := range values {
		key := c.convert(v.Key, depth+1)
		if key.kind != kindScalar {
			c.mistake(v.Key.GetToken(), "a key must be a plain word")
			continue
		}
		if i == 0 {
			out.line, out.column = key.line, key.column
		}
		out.fields = append(out.fields, entry{key, c.convert(v.Value, depth+1)})
	}
}

// alias resolves *name. An anchor is known only once its value is complete, so
// that a value cannot contain itself.
func (c *converter) alias(a *ast.AliasNode) *node {
	line, column := c.place(a.GetToken())
	target, ok := c.anchors[name(a.Value)]
	if !ok {
		c.mistake(a.GetToken(), "alias *%s has no anchor in front of it", clip(name(a.Value)))
		return &node{line: line, column: column}
	}
	c.aliased += target.count(maxAliased + 1 - c.aliased)
	if c.aliased > maxAliased {
		if len(c.mistakes) < maxMistakes {
			c.mistake(a.GetToken(), "aliases stand for more than %d values", maxAliased)
		}
		return &node{line: line, column: column}
	}
	return target
}

// count returns the number of nodes below and including n, stopping at limit.
func (n *node) count(limit int) int {
	total := 1
	for _, e := range n.fields {
		if total >= limit {
			return total
		}
		total += e.value.count(limit - total)
	}
	for _, item := range n.items {
		if total >= limit {
			return total
		}
		total += item.count(limit - total)
	}
	return total
}

func name(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}
