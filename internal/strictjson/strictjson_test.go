package strictjson_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/stretchr/testify/require"
)

func nested(depth int) string {
	return `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
}

func TestWhatIsNoSingleObjectIsRefused(t *testing.T) {
	tests := []struct{ name, document string }{
		{"nothing", ``},
		{"white space", " \n"},
		{"null", `null`},
		{"an array", `[]`},
		{"a string", `"a"`},
		{"text after it", `{} x`},
		{"a second object", `{}{}`},
		{"a NUL after it", "{}\x00"},
		{"a byte order mark", "\ufeff{}"},
		{"an open object", `{"a":1`},
		{"a trailing comma", `{"a":1,}`},
		{"a leading comma", `{,"a":1}`},
		{"no comma", `{"a":1 "b":2}`},
		{"no colon", `{"a" 1}`},
		{"no value", `{"a":}`},
		{"no value at the end", `{"a":`},
		{"a bare name", `{a:1}`},
		{"a quoted name in single quotes", `{'a':1}`},
		{"a comment", `{"a":1/**/}`},
		{"a vertical tab as white space", "{\v}"},
		{"a no-break space", "{\u00a0}"},
		{"an open array", `{"a":[1`},
		{"an array with a trailing comma", `{"a":[1,]}`},
		{"a capitalised literal", `{"a":True}`},
		{"half a literal", `{"a":tru}`},
		{"a literal with a tail", `{"a":nullx}`},
		{"NaN", `{"a":NaN}`},
		{"a leading zero", `{"a":01}`},
		{"a negative leading zero", `{"a":-01}`},
		{"a plus", `{"a":+1}`},
		{"a lone minus", `{"a":-}`},
		{"a point without digits after it", `{"a":1.}`},
		{"a point without digits before it", `{"a":.5}`},
		{"an exponent without digits", `{"a":1e+}`},
		{"a hexadecimal number", `{"a":0x10}`},
		{"an open string", `{"a":"b}`},
		{"a line break in a string", "{\"a\":\"b\n\"}"},
		{"a NUL in a string", "{\"a\":\"\x00\"}"},
		{"an unknown escape", `{"a":"\x41"}`},
		{"an open escape", `{"a":"\`},
		{"a short escape", `{"a":"\u12"}`},
		{"an escape that is no hexadecimal", `{"a":"\u12G4"}`},
		{"a lone high surrogate", `{"a":"\ud800"}`},
		{"a lone high surrogate before text", `{"a":"\ud800abcdef"}`},
		{"a lone low surrogate", `{"a":"\udc00"}`},
		{"surrogates the wrong way round", `{"a":"\udc00\ud800"}`},
		{"two high surrogates", `{"a":"\ud800\ud800"}`},
		{"a lone surrogate in a name", `{"\ud800":1}`},
		{"a lone surrogate further down", `{"a":{"b":["\ud800"]}}`},
		{"invalid UTF-8 in a string", "{\"a\":\"\xff\"}"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}"},
		{"a surrogate as UTF-8", "{\"a\":\"\xed\xa0\x80\"}"},
		{"too deep", nested(strictjson.MaxDepth + 1)},
		{"far too deep", strings.Repeat(`{"a":`, 100_000)},
		{"a name twice", `{"a":1,"a":1}`},
		{"a name twice, once escaped", `{"a":1,"\u0061":2}`},
		{"a name twice, far apart", `{"a":1,` + manyMembers(100) + `,"a":2}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := strictjson.ParseObject(tt.document)
			require.ErrorIs(t, err, strictjson.ErrSyntax)
			require.Less(t, len(err.Error()), 200, "an error stays short")
		})
	}
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"n%d":%d`, i, i)
	}
	return strings.Join(members, ",")
}

func TestNamesAreComparedByCodePointAfterUnescaping(t *testing.T) {
	o, err := strictjson.ParseObject(` { "\u0069ss" : "x" , "ISS" : "y", "iſs": "z", "\ud83d\ude00": 1 } `)
	require.NoError(t, err)
	require.Len(t, o.Members(), 4)

	v, ok := o.Lookup("iss")
	require.True(t, ok)
	text, _ := v.Text()
	require.Equal(t, "x", text)

	require.True(t, o.Has("😀"))
	require.False(t, o.Has("Iss"))
	require.False(t, o.Has(""))
}

func TestLookupAmongManyMembers(t *testing.T) {
	o, err := strictjson.ParseObject("{" + manyMembers(1000) + "}")
	require.NoError(t, err)
	for _, i := range []int{0, 23, 24, 25, 999} {
		v, ok := o.Lookup(fmt.Sprintf("n%d", i))
		require.True(t, ok)
		require.Equal(t, fmt.Sprint(i), v.JSON())
	}
	require.False(t, o.Has("n1000"))
}

// Names are told apart by a few of their bits first. Here are more names than bits, so
// that many share them.
func TestNamesThatLookAlikeAreToldApart(t *testing.T) {
	var names []string
	for _, a := range "abcdefgh" {
		for _, b := range "abcdefgh" {
			names = append(names, string(a)+string(b), string(a)+"x"+string(b))
		}
	}
	names = append(names, "", "a", "aaaa", "\u00e9", "\u2028")
	for step := 1; step <= 20; step++ { // of so many members
		members, want := []string{}, map[string]string{}
		for n := 0; n < len(names); n += 1 + len(names)/step {
			want[names[n]] = strconv.Itoa(n)
			members = append(members, strconv.Quote(names[n])+":"+want[names[n]])
		}
		o, err := strictjson.ParseObject("{" + strings.Join(members, ",") + "}")
		require.NoError(t, err)
		clone := o.Clone()
		for _, o := range []strictjson.Object{o, clone} {
			for _, name := range names {
				value, has := o.Lookup(name)
				require.Equal(t, want[name], value.JSON(), name)
				require.Equal(t, want[name] != "", has, name)
			}
		}
		for name := range want {
			_, err := strictjson.ParseObject("{" + strings.Join(append(members, strconv.Quote(name)+":1"), ",") + "}")
			var repeated *strictjson.RepeatedError
			require.ErrorAs(t, err, &repeated)
			require.Equal(t, name, repeated.Name)
		}
	}
}

func TestValuesConvertOnlyToTheirKind(t *testing.T) {
	o, err := strictjson.ParseObject(`{"null":null,"true":true,"number":-1.5e3,"string":"a\"\\\/\b\f\n\r\té\u00e9","array":["a",["b"]],"texts":["a","b"],"object":{"a":1},"twice":{"a":1,"a":2}}`)
	require.NoError(t, err)
	kinds := map[string]strictjson.Kind{
		"null": strictjson.KindNull, "true": strictjson.KindBool, "number": strictjson.KindNumber,
		"string": strictjson.KindString, "array": strictjson.KindArray, "texts": strictjson.KindArray,
		"object": strictjson.KindObject, "twice": strictjson.KindObject, "absent": "",
	}
	for name, kind := range kinds {
		v, _ := o.Lookup(name)
		require.Equal(t, kind, v.Kind(), name)

		text, ok := v.Text()
		require.Equal(t, name == "string", ok, name)
		if ok {
			require.Equal(t, "a\"\\/\b\f\n\r\téé", text)
		}
		elements, ok := v.Elements()
		require.Equal(t, kind == strictjson.KindArray, ok, name)
		if ok {
			require.Len(t, elements, 2)
		}
		texts, ok := v.Texts()
		require.Equal(t, name == "texts", ok, name)
		if ok {
			require.Equal(t, []string{"a", "b"}, texts)
		}
		_, err := v.Object()
		if name == "object" {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, strictjson.ErrSyntax, name)
		}
	}
}

func TestAnOptionalTextIsAStringOrMissing(t *testing.T) {
	o, err := strictjson.ParseObject(`{"text":"a","empty":"","null":null,"array":["a"]}`)
	require.NoError(t, err)
	tests := []struct{ name, want, err string }{
		{"text", "a", ""},
		{"empty", "", ""},
		{"absent", "", ""},
		{"null", "", "its null is a JSON null, not a string"},
		{"array", "", "its array is a JSON array, not a string"},
	}
	for _, tt := range tests {
		got, err := o.OptionalText(tt.name)
		require.Equal(t, tt.want, got)
		if tt.err == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, tt.err)
		}
	}
}

func TestTheDeepestAllowedIsAccepted(t *testing.T) {
	_, err := strictjson.ParseObject(nested(strictjson.MaxDepth))
	require.NoError(t, err)
}

func TestExcerptIsShortAndPrintable(t *testing.T) {
	require.Equal(t, `"a\n\x1b[31m"`, strictjson.Excerpt("a\n\x1b[31m"))
	require.LessOrEqual(t, len(strictjson.Excerpt(strings.Repeat("\x00", 1000))), 64*4+len(`""…`))
}

// What is accepted here is accepted by encoding/json too, as the same values.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, ` { "a" : [ 1 , {"b":null} ] } `, `{"\u0061":"\ud83d\ude00"}`, `{"a":1,"a":2}`,
		`{"a":"\ud800"}`, `{"a":1e400}`, `{"a":-0.0}`, "{\"a\":\"\xff\"}", `{} x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		o, err := strictjson.ParseObject(document)
		if err != nil {
			return
		}
		require.True(t, json.Valid([]byte(document)))
		require.Equal(t, strings.Trim(document, " \t\r\n"), o.JSON())

		var theirs map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(document), &theirs))
		require.Len(t, o.Members(), len(theirs))
		for _, m := range o.Members() {
			require.Equal(t, string(theirs[m.Name]), m.Value.JSON())
			if text, ok := m.Value.Text(); ok {
				var want string
				require.NoError(t, json.Unmarshal(theirs[m.Name], &want))
				require.Equal(t, want, text)
			}
		}
		var ours, all map[string]any
		if o.Decode(&ours) == nil { // a name twice further down is refused here only
			require.NoError(t, json.Unmarshal([]byte(document), &all))
			require.True(t, reflect.DeepEqual(all, ours))
		}
	})
}
