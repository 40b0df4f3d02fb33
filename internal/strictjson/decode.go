package strictjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"unicode"
)

// Decode stores the object in the value that into points to, as
// [json.Unmarshal] does, but with names matched exactly, at every level of the
// type, and with each name once in every object that is looked into.
//
// It takes away the members that no field is named after, and leaves the rest
// to encoding/json: what remains has only exact names, so that its folding of
// case finds nothing to fold. A type with an UnmarshalJSON of its own gets its
// value as it was written.
func (o *Object) Decode(into any) error {
	pointer := reflect.TypeOf(into)
	if pointer == nil || pointer.Kind() != reflect.Pointer {
		return &json.InvalidUnmarshalError{Type: pointer}
	}
	text, err := appendObject(nil, o, pointer.Elem())
	if err != nil {
		return err
	}
	err = json.Unmarshal(text, into)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		mismatch.Value = excerptValue(mismatch.Value)
	}
	return err
}

// excerptValue cuts and quotes the value that an error of encoding/json names,
// where it is more than the name of a kind: it is the document's.
func excerptValue(value string) string {
	for _, c := range value {
		if len(value) > 64 || !unicode.IsPrint(c) {
			return Excerpt(value)
		}
	}
	return value
}

var (
	anyType             = reflect.TypeFor[any]()
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// target returns what t points to, and whether that reads its own JSON.
func target(t reflect.Type) (_ reflect.Type, decodesItself bool) {
	for {
		pointer := reflect.PointerTo(t)
		if pointer.Implements(unmarshalerType) || pointer.Implements(textUnmarshalerType) ||
			t.Implements(unmarshalerType) || t.Implements(textUnmarshalerType) {
			return t, true
		}
		if t.Kind() != reflect.Pointer {
			return t, false
		}
		t = t.Elem()
	}
}

// appendValue appends v as a value of type t may see it.
func appendValue(text []byte, v Value, t reflect.Type) ([]byte, error) {
	t, raw := target(t)
	switch kind := v.Kind(); {
	case raw:
		return append(text, v.text...), nil
	case kind == KindObject:
		object, err := v.Object()
		if err != nil {
			return nil, err
		}
		return appendObject(text, &object, t)
	case kind == KindArray:
		return appendArray(text, v, t)
	default:
		return append(text, v.text...), nil
	}
}

// appendArray appends the array v as a value of type t may see it.
func appendArray(text []byte, v Value, t reflect.Type) ([]byte, error) {
	element := anyType
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		element = t.Elem()
	}
	elements, _ := v.Elements()
	text = append(text, '[')
	for i, e := range elements {
		if i > 0 {
			text = append(text, ',')
		}
		var err error
		if text, err = appendValue(text, e, element); err != nil {
			return nil, err
		}
	}
	return append(text, ']'), nil
}

// appendObject appends o as a value of type t may see it.
func appendObject(text []byte, o *Object, t reflect.Type) ([]byte, error) {
	t, raw := target(t)
	if raw {
		return append(text, o.text...), nil
	}
	var fields map[string]reflect.Type // nil: every name counts
	element := anyType
	switch t.Kind() {
	case reflect.Struct:
		fields = fieldTypes(t)
	case reflect.Map:
		element = t.Elem()
	}
	text = append(text, '{')
	first := true
	for _, m := range o.members {
		of := element
		if fields != nil {
			var named bool
			if of, named = fields[m.Name]; !named {
				continue
			}
		}
		if !first {
			text = append(text, ',')
		}
		first = false
		text = append(appendQuoted(text, m.Name), ':')
		var err error
		if text, err = appendValue(text, m.Value, of); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

// appendQuoted appends a name as JSON.
func appendQuoted(text []byte, name string) []byte {
	for i := range len(name) {
		if !ordinary[name[i]] {
			quoted, _ := json.Marshal(name) // never fails
			return append(text, quoted...)
		}
	}
	text = append(append(text, '"'), name...)
	return append(text, '"')
}

// fieldTypes returns the names by which encoding/json knows the fields of a
// struct, and their types. The rules are its own, which are those of Go for
// embedded fields, amended by tags: of fields with the same name the one that is
// embedded least deeply counts, then the one that is named by a tag; where two
// are left, none counts.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	if cached, ok := fieldTypesCache.Load(t); ok {
		return cached.(map[string]reflect.Type)
	}
	type found struct {
		of       reflect.Type
		depth    int
		tagged   bool
		repeated bool
	}
	best := map[string]found{}
	note := func(name string, now found) {
		was, exists := best[name]
		switch {
		case !exists, was.depth == now.depth && now.tagged && !was.tagged:
			best[name] = now
		case was.depth == now.depth && now.tagged == was.tagged:
			was.repeated = true
			best[name] = was
		}
	}
	seen := map[reflect.Type]bool{}
	level, times := []reflect.Type{t}, map[reflect.Type]int{t: 1}
	for depth := 0; len(level) > 0; depth++ {
		var deeper []reflect.Type
		deeperTimes := map[reflect.Type]int{}
		for _, structure := range level {
			if seen[structure] {
				continue
			}
			seen[structure] = true
			for i := range structure.NumField() {
				field := structure.Field(i)
				embedded := field.Type
				if embedded.Kind() == reflect.Pointer {
					embedded = embedded.Elem()
				}
				embeds := field.Anonymous && embedded.Kind() == reflect.Struct
				tag := field.Tag.Get("json")
				if tag == "-" || (!field.IsExported() && !embeds) {
					continue
				}
				name, _, _ := strings.Cut(tag, ",")
				if embeds && name == "" {
					if deeperTimes[embedded]++; deeperTimes[embedded] == 1 {
						deeper = append(deeper, embedded)
					}
					continue
				}
				now := found{of: field.Type, depth: depth, tagged: name != "", repeated: times[structure] > 1}
				if name == "" {
					name = field.Name
				}
				note(name, now)
			}
		}
		level, times = deeper, deeperTimes
	}
	fields := make(map[string]reflect.Type, len(best))
	for name, field := range best {
		if !field.repeated {
			fields[name] = field.of
		}
	}
	fieldTypesCache.Store(t, fields)
	return fields
}

// fieldTypesCache has what fieldTypes has found out: as many entries as a program
// has types that it decodes into.
var fieldTypesCache sync.Map
