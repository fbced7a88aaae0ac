package compile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"

	"nearcast/cdn"
)

// FormatSites writes sites as the YAML documents that [Sites] reads: compiling
// the result gives the same sites. Secrets are written as they are; see
// [cdn.Site.Redact].
func FormatSites(sites ...cdn.Site) ([]byte, error) {
	var out bytes.Buffer
	for i, s := range sites {
		if i > 0 {
			out.WriteString("---\n")
		}
		if err := format(&out, s); err != nil {
			return nil, fmt.Errorf("formatting site %s: %w", s.Name, err)
		}
	}
	return out.Bytes(), nil
}

// FormatFleet writes a fleet as the YAML document that [Fleet] reads.
func FormatFleet(f *cdn.Fleet) ([]byte, error) {
	var out bytes.Buffer
	if err := format(&out, f, policiesByPOP, steeredAsRanges); err != nil {
		return nil, fmt.Errorf("formatting the fleet: %w", err)
	}
	return out.Bytes(), nil
}

// policiesByPOP makes the lists of policies that are by POP into the mappings that people write.
func policiesByPOP(fleet yaml.MapSlice) {
	policies, _ := member(fleet, "policies").([]any)
	for _, policy := range policies {
		fields, _ := policy.(yaml.MapSlice)
		for i := range fields {
			switch fields[i].Key {
			case "weights":
				fields[i].Value = byPOP(fields[i].Value, "weight")
			case "prefer":
				fields[i].Value = byPOP(fields[i].Value, "ms")
			}
		}
	}
}

// steeredAsRanges makes ranges of steered names.
func steeredAsRanges(fleet yaml.MapSlice) {
	dns, _ := member(fleet, "dns").(yaml.MapSlice)
	for i := range dns {
		if names, ok := dns[i].Value.([]any); ok && dns[i].Key == "steered" {
			dns[i].Value = foldNames(names)
		}
	}
}

// byPOP makes a mapping, from POP to the field of that name, of a list of objects.
func byPOP(list any, name string) any {
	items, _ := list.([]any)
	var out yaml.MapSlice
	for _, item := range items {
		object, _ := item.(yaml.MapSlice)
		out = append(out, yaml.MapItem{Key: member(object, "pop"), Value: member(object, name)})
	}
	return out
}

// member returns the value of a key, or nil.
func member(object yaml.MapSlice, key string) any {
	for _, item := range object {
		if item.Key == key {
			return item.Value
		}
	}
	return nil
}

// format goes through JSON, whose keys are the YAML's keys, and keeps the order
// of the type's fields. Where people write it in another way, edit makes that of it.
func format(out *bytes.Buffer, v any, edit ...func(yaml.MapSlice)) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	ordered, err := readOrdered(d)
	if err != nil {
		return err
	}
	if object, ok := ordered.(yaml.MapSlice); ok {
		for _, e := range edit {
			e(object)
		}
	}
	formatted, err := yaml.MarshalWithOptions(ordered, yaml.IndentSequence(true))
	if err != nil {
		return err
	}
	out.Write(formatted)
	return nil
}

// readOrdered reads one JSON value with the keys of objects in order. Numbers
// become the narrowest type that holds them, so that they are written plainly.
func readOrdered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		if v == '{' {
			return readObject(d)
		}
		return readArray(d)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	}
	return t, nil
}

func readObject(d *json.Decoder) (yaml.MapSlice, error) {
	object := yaml.MapSlice{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := readOrdered(d)
		if err != nil {
			return nil, err
		}
		object = append(object, yaml.MapItem{Key: key, Value: value})
	}
	_, err := d.Token()
	return object, err
}

func readArray(d *json.Decoder) ([]any, error) {
	array := []any{}
	for d.More() {
		value, err := readOrdered(d)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := d.Token()
	return array, err
}
