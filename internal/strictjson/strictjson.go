// Package strictjson reads JSON that an attacker may have written, for code
// that decides by it.
//
// Two readers that disagree about a document are a hole: one checks a claim,
// the other hands a different value to the handler. So there is one reading
// here, for checks and for data, and what could be read in two ways is refused
// (RFC 8259 §4 and §8.1, RFC 7493):
//
//   - a document is one object with nothing but white space around it;
//   - names are compared by code point after unescaping, case and all;
//   - an object that is read has each name once;
//   - text is UTF-8, and escapes make no lone surrogates;
//   - nesting is bounded.
package strictjson

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// MaxDepth is how deeply arrays and objects may be nested.
const MaxDepth = 64

// ErrSyntax is wrapped by every error that is about the document.
var ErrSyntax = errors.New("not strict JSON")

// A RepeatedError says that an object has a name twice. It wraps [ErrSyntax].
type RepeatedError struct{ Name string }

func (e *RepeatedError) Error() string {
	return fmt.Sprintf("%v: the name %s occurs twice", ErrSyntax, Excerpt(e.Name))
}

func (*RepeatedError) Unwrap() error { return ErrSyntax }

// A Kind is one of the six kinds of JSON values.
type Kind string

// The kinds, named as a message would name them.
const (
	KindNull   Kind = "null"
	KindBool   Kind = "boolean"
	KindNumber Kind = "number"
	KindString Kind = "string"
	KindArray  Kind = "array"
	KindObject Kind = "object"
)

// A Value is one JSON value whose syntax has been checked. Only this package
// makes them; the zero Value has no kind and converts to nothing.
type Value struct {
	text string // the value as it was written, without white space around
}

// An Object is a JSON object that has each of its names once.
type Object struct {
	text    string // the object as it was written
	members []Member
	traits  uint64         // those of the members' names, see trait
	index   map[string]int // where there are many members, name → position
}

// A Member is one name of an object and its value.
type Member struct {
	Name  string // unescaped
	Value Value
}

// ParseObject reads a document that is one object. The values are kept as parts
// of the document, which therefore stays in memory as long as they do.
func ParseObject(document string) (Object, error) { return ParseObjectIn(nil, document) }

// ParseObjectIn is [ParseObject] with room for the members, for a caller that reads
// one document after the other. An object that has the room must not be used any more
// when the next one gets it; see [Object.Clone].
func ParseObjectIn(room []Member, document string) (Object, error) {
	if !utf8.ValidString(document) {
		return Object{}, fmt.Errorf("%w: it is not UTF-8", ErrSyntax)
	}
	r := reader{text: document}
	r.space()
	object, err := r.object(room)
	if err != nil {
		return Object{}, err
	}
	r.space()
	if r.at < len(r.text) {
		return Object{}, r.fail("something follows the object")
	}
	return object, nil
}

// Clone returns the object with memory of its own for the members, and no more than it
// needs. The text is shared.
func (o *Object) Clone() Object {
	clone := *o
	clone.members = append(make([]Member, 0, len(o.members)), o.members...)
	return clone
}

// trait returns one of 64 bits, by which most names differ: a look at one number tells
// that an object has no member of a name, which is what most questions are about.
func trait(name string) uint64 {
	if name == "" {
		return 1
	}
	return 1 << ((uint(len(name)) + 13*uint(name[0]) + uint(name[len(name)-1])) % 64)
}

// Lookup returns the value of the member with that name.
func (o *Object) Lookup(name string) (Value, bool) {
	if o.traits&trait(name) == 0 {
		return Value{}, false
	}
	if o.index != nil {
		i, ok := o.index[name]
		if !ok {
			return Value{}, false
		}
		return o.members[i].Value, true
	}
	for i := range o.members {
		if o.members[i].Name == name {
			return o.members[i].Value, true
		}
	}
	return Value{}, false
}

// Has reports whether the object has a member with that name.
func (o *Object) Has(name string) bool {
	_, ok := o.Lookup(name)
	return ok
}

// JSON returns the object as it was written.
func (o *Object) JSON() string { return o.text }

// Size returns about how many bytes the object takes besides its text.
func (o *Object) Size() int64 {
	size := int64(cap(o.members)) * int64(unsafe.Sizeof(Member{}))
	if o.index != nil { // a map has room to grow
		size += max(4<<10, 64*int64(len(o.index)))
	}
	return size
}

// OptionalText returns the characters of the member with that name, "" where there
// is none. The error is about a member that is no string.
func (o *Object) OptionalText(name string) (string, error) {
	value, has := o.Lookup(name)
	if !has {
		return "", nil
	}
	text, ok := value.Text()
	if !ok {
		return "", fmt.Errorf("its %s is a JSON %s, not a string", name, value.Kind())
	}
	return text, nil
}

// Members returns the members in the order in which they were written. The
// caller must not change them.
func (o *Object) Members() []Member { return o.members }

// Kind returns what kind of value this is, "" for the zero Value.
func (v Value) Kind() Kind {
	if v.text == "" {
		return ""
	}
	switch v.text[0] {
	case 'n':
		return KindNull
	case 't', 'f':
		return KindBool
	case '"':
		return KindString
	case '[':
		return KindArray
	case '{':
		return KindObject
	default:
		return KindNumber
	}
}

// JSON returns the value as it was written.
func (v Value) JSON() string { return v.text }

// Text returns the characters of a string, and false for any other kind.
func (v Value) Text() (string, bool) {
	if v.Kind() != KindString {
		return "", false
	}
	inner := v.text[1 : len(v.text)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	return unescape(inner), true
}

// Texts returns the elements of an array that has only strings, and false for
// anything else.
func (v Value) Texts() ([]string, bool) {
	elements, ok := v.Elements()
	if !ok {
		return nil, false
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		if texts[i], ok = element.Text(); !ok {
			return nil, false
		}
	}
	return texts, true
}

// Elements returns the elements of an array, and false for any other kind.
func (v Value) Elements() ([]Value, bool) {
	if v.Kind() != KindArray {
		return nil, false
	}
	var elements []Value
	r := reader{text: v.text}
	err := r.array(0, func(element Value) { elements = append(elements, element) })
	return elements, err == nil
}

// Object returns the object that v is. The error is about another kind, or a
// name that occurs twice.
func (v Value) Object() (Object, error) {
	if v.Kind() != KindObject {
		return Object{}, fmt.Errorf("%w: a JSON %s stands where an object should", ErrSyntax, v.Kind())
	}
	r := reader{text: v.text}
	return r.object(nil)
}

// A reader walks over a document, one pass, no backtracking.
type reader struct {
	text string
	at   int
}

func (r *reader) fail(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrSyntax, r.at, fmt.Sprintf(format, args...))
}

// space skips white space, which is these four characters (RFC 8259 §2).
func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next skips white space, then c where it stands, and reports whether it did.
func (r *reader) next(c byte) bool {
	if r.at >= len(r.text) || r.text[r.at] != c {
		r.space()
	}
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

// object reads an object into its members.
func (r *reader) object(room []Member) (Object, error) {
	start := r.at
	o := Object{members: room[:0]}
	if room == nil {
		// A comma stands before each member but the first, and elsewhere too.
		const most = 16
		o.members = make([]Member, 0, 1+min(most, strings.Count(r.text[start:], ",")))
	}
	err := r.members(0, &o)
	o.text = r.text[start:r.at]
	return o, err
}

// add appends a member, unless the object has one of that name.
func (o *Object) add(m Member) error {
	// Up to here comparing costs less than hashing; beyond it, a document made
	// of thousands of names must not cost their square.
	const few = 24
	if o.Has(m.Name) {
		return &RepeatedError{m.Name}
	}
	o.members = append(o.members, m)
	o.traits |= trait(m.Name)
	switch {
	case o.index != nil:
		o.index[m.Name] = len(o.members) - 1
	case len(o.members) > few:
		o.index = make(map[string]int, 4*few)
		for i := range o.members {
			o.index[o.members[i].Name] = i
		}
	}
	return nil
}

// members reads an object and adds its members to into. Where that is nil, it only
// checks the syntax.
func (r *reader) members(depth int, into *Object) error {
	if depth >= MaxDepth {
		return r.fail("it is nested more than %d deep", MaxDepth)
	}
	if !r.next('{') {
		return r.fail("an object is missing")
	}
	if r.next('}') {
		return nil
	}
	for {
		r.space()
		name, err := r.string()
		if err != nil {
			return err
		}
		if !r.next(':') {
			return r.fail("a colon is missing")
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if into != nil {
			if err := into.add(Member{Name: name, Value: value}); err != nil {
				return err
			}
		}
		if r.next(',') {
			continue
		}
		if r.next('}') {
			return nil
		}
		return r.fail("a comma or the end of the object is missing")
	}
}

// array reads an array and calls visit with each of its elements. With a nil
// visit it only checks the syntax.
func (r *reader) array(depth int, visit func(Value)) error {
	if depth >= MaxDepth {
		return r.fail("it is nested more than %d deep", MaxDepth)
	}
	if !r.next('[') {
		return r.fail("an array is missing")
	}
	if r.next(']') {
		return nil
	}
	for {
		element, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if visit != nil {
			visit(element)
		}
		if r.next(',') {
			continue
		}
		if r.next(']') {
			return nil
		}
		return r.fail("a comma or the end of the array is missing")
	}
}

// value checks the syntax of one value and returns it as it was written.
func (r *reader) value(depth int) (Value, error) {
	r.space()
	if r.at >= len(r.text) {
		return Value{}, r.fail("it ends where a value should be")
	}
	start := r.at
	var err error
	switch c := r.text[r.at]; {
	case c == '"':
		_, err = r.scanString()
	case c == '{':
		err = r.members(depth, nil)
	case c == '[':
		err = r.array(depth, nil)
	case c == '-' || '0' <= c && c <= '9':
		err = r.number()
	default:
		err = r.literal()
	}
	if err != nil {
		return Value{}, err
	}
	return Value{text: r.text[start:r.at]}, nil
}

// literal reads true, false or null.
func (r *reader) literal() error {
	for _, word := range [...]string{"true", "false", "null"} {
		if rest := r.text[r.at:]; len(rest) >= len(word) && rest[:len(word)] == word {
			r.at += len(word)
			return nil
		}
	}
	return r.fail("a value is missing")
}

// number reads a number by the grammar of RFC 8259 §6: no leading zero, no
// plus, digits on both sides of the point.
func (r *reader) number() error {
	if r.text[r.at] == '-' {
		r.at++
	}
	if first := r.at; !r.digits() || (r.text[first] == '0' && r.at > first+1) {
		return r.fail("a number is not well formed")
	}
	if r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		if !r.digits() {
			return r.fail("a number is not well formed")
		}
	}
	if r.at < len(r.text) && (r.text[r.at] == 'e' || r.text[r.at] == 'E') {
		r.at++
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		if !r.digits() {
			return r.fail("a number is not well formed")
		}
	}
	return nil
}

// digits skips decimal digits and reports whether there was one.
func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

// string reads a string and returns its characters.
func (r *reader) string() (string, error) {
	start := r.at
	escaped, err := r.scanString()
	if err != nil {
		return "", err
	}
	inner := r.text[start+1 : r.at-1]
	if !escaped {
		return inner, nil
	}
	return unescape(inner), nil
}

// scanString checks a string and skips it. It reports whether there are escapes
// in it.
func (r *reader) scanString() (escaped bool, err error) {
	if r.at >= len(r.text) || r.text[r.at] != '"' {
		return false, r.fail("a string is missing")
	}
	r.at++
	for {
		at := r.at // in a register: most of a document is in its strings
		for at < len(r.text) && ordinary[r.text[at]] {
			at++
		}
		r.at = at
		switch {
		case at == len(r.text):
			return false, r.fail("a string does not end")
		case r.text[at] == '"':
			r.at++
			return escaped, nil
		case r.text[at] == '\\':
			escaped = true
			if err := r.scanEscape(); err != nil {
				return false, err
			}
		default:
			return false, r.fail("a control character stands in a string")
		}
	}
}

// ordinary has the bytes that stand for themselves in a string.
var ordinary = func() (is [256]bool) {
	for c := range is {
		is[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return is
}()

// scanEscape checks one escape, or the two that make a surrogate pair, and
// skips it. A lone surrogate stands for no character: readers that replace it
// make two different names equal.
func (r *reader) scanEscape() error {
	if r.at+1 >= len(r.text) {
		return r.fail("an escape does not end")
	}
	switch r.text[r.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		r.at += 2
		return nil
	case 'u':
		unit, ok := codeUnit(r.text[r.at:])
		if !ok {
			return r.fail("an escape is not well formed")
		}
		if utf16.IsSurrogate(unit) {
			low, _ := codeUnit(r.text[r.at+6:])
			if utf16.DecodeRune(unit, low) == utf8.RuneError {
				return r.fail("an escape is half of a surrogate pair")
			}
			r.at += 6
		}
		r.at += 6
		return nil
	default:
		return r.fail("an escape is not well formed")
	}
}

// codeUnit reads \uXXXX at the start of text.
func codeUnit(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range []byte(text[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

// unescape returns the characters of the inner part of a checked string.
func unescape(inner string) string {
	text := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		if inner[i] != '\\' {
			text = append(text, inner[i])
			i++
			continue
		}
		switch c := inner[i+1]; c {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			unit, _ := codeUnit(inner[i:])
			if utf16.IsSurrogate(unit) {
				low, _ := codeUnit(inner[i+6:])
				unit = utf16.DecodeRune(unit, low)
				i += 6
			}
			text = utf8.AppendRune(text, unit)
			i += 4
		default: // '"', '\\' and '/'
			text = append(text, c)
		}
		i += 2
	}
	return string(text)
}

// Excerpt quotes text that an attacker may have written, cut short, so that it
// can stand in an error: it brings neither line breaks nor length into a log.
func Excerpt(text string) string {
	const most = 64
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q…", text[:most])
}
