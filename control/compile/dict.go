package compile

// dict reads a mapping whose keys are the user's own words, at most limit of them. name
// reads a key, value makes the reader of its value.
func dict[K ~string, V any](dst *map[K]V, limit int, name func(string) (K, error), value func(*V) func(cursor)) func(cursor) {
	return func(c cursor) {
		if !c.want(kindMapping, "the value") {
			return
		}
		if n := len(c.n.fields); n == 0 || n > limit {
			c.mistake("leave the key out if there is nothing", "has %d entries, from 1 to %d are allowed", n, limit)
			return
		}
		out := make(map[K]V, len(c.n.fields))
		lines := make(map[K]int, len(c.n.fields))
		for _, e := range c.n.fields {
			path := join(c.path, clip(e.key.text))
			here := cursor{c.d, c.site, e.key, path}
			k, err := name(e.key.text)
			if err != nil {
				here.mistake("", "%s", err)
				continue
			}
			if line, dup := lines[k]; dup {
				here.mistake("keep one", "%s is already set in line %d", k, line)
				continue
			}
			lines[k] = e.key.line
			var v V
			value(&v)(cursor{c.d, c.site, e.value, path})
			out[k] = v
		}
		*dst = out
	}
}

// some reads a list of at least one item that are all different.
func some[T comparable](dst *[]T, limit int, what string, parse func(string) (T, error)) func(cursor) {
	return func(c cursor) {
		list(dst, limit, parsed(parse))(c)
		if c.n.kind == kindSequence && len(c.n.items) == 0 {
			c.mistake("leave the key out for the default", "needs at least one item")
		}
		unique(c, *dst, what)
	}
}
