package strictjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/stretchr/testify/require"
)

type address struct {
	City string `json:"city"`
	Zip  string
}

type embedded struct {
	Org   string `json:"org"`
	Depth int    `json:"depth"`
}

type rawText string

func (r *rawText) UnmarshalJSON(text []byte) error { *r = rawText(text); return nil }

type profile struct {
	embedded
	Name     string             `json:"name"`
	Roles    []string           `json:"https://example.com/roles"`
	Address  *address           `json:"address"`
	Former   []address          `json:"former"`
	ByKind   map[string]address `json:"by_kind"`
	Anything any                `json:"anything"`
	Itself   rawText            `json:"itself"`
	Message  json.RawMessage    `json:"message"`
	When     time.Time          `json:"when"`
	Skipped  string             `json:"-"`
	Depth    int                `json:"depth"` // hides the embedded one
	Untagged string
}

func TestDecodeMatchesNamesExactlyAtEveryLevel(t *testing.T) {
	o, err := strictjson.ParseObject(`{
		"org": "o", "ORG": "evil",
		"NAME": "evil", "name": "n", "Name": "evil",
		"HTTPS://example.com/roles": ["evil"], "https://example.com/roles": ["r"],
		"address": {"City": "evil", "city": "c", "zip": "evil", "Zip": "z"},
		"former": [{"CITY": "evil"}, {"city": "f"}],
		"by_kind": {"Home": {"cITY": "evil", "city": "h"}},
		"anything": {"a": [1, {"B": true}]},
		"itself": { "CITY" : 1 },
		"message": {"x":1, "x":2},
		"when": "2026-01-02T03:04:05Z",
		"Skipped": "evil", "-": "evil", "untagged": "evil", "Untagged": "u",
		"depth": 3
	}`)
	require.NoError(t, err)
	var got profile
	require.NoError(t, o.Decode(&got))
	require.Equal(t, profile{
		embedded: embedded{Org: "o"},
		Name:     "n",
		Roles:    []string{"r"},
		Address:  &address{City: "c", Zip: "z"},
		Former:   []address{{}, {City: "f"}},
		ByKind:   map[string]address{"Home": {City: "h"}},
		Anything: map[string]any{"a": []any{1.0, map[string]any{"B": true}}},
		Itself:   `{ "CITY" : 1 }`,
		Message:  json.RawMessage(`{"x":1, "x":2}`),
		When:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Untagged: "u",
		Depth:    3,
	}, got)
}

type left struct{ Same string }
type right struct{ Same string }

func TestDecodeIntoFieldsThatHideEachOther(t *testing.T) {
	o, err := strictjson.ParseObject(`{"Same":"x","same":"y"}`)
	require.NoError(t, err)

	var none struct {
		left
		right
	}
	require.NoError(t, o.Decode(&none))
	require.Zero(t, none, "two of the same depth: neither is known by the name")

	var tagged struct {
		A string `json:"Same"`
		left
	}
	require.NoError(t, o.Decode(&tagged))
	require.Equal(t, "x", tagged.A)
	require.Empty(t, tagged.Same)
}

type base struct{ Blocked bool }

type inner struct{ Role string }
type middle struct{ inner }
type leftOfTwo struct{ middle }
type rightOfTwo struct{ middle }

// For documents with exact names, encoding/json and Decode fill the same fields,
// whatever is embedded in what.
func TestDecodeKnowsTheFieldsThatEncodingJSONKnows(t *testing.T) {
	tests := []struct {
		name     string
		document string
		into     func() any
	}{
		{"an unexported struct that is embedded with a tag", `{"base":{"Blocked":true}}`, func() any {
			return &struct {
				base `json:"base"`
			}{}
		}},
		{"two ways to one struct", `{"Role":"admin"}`, func() any {
			return &struct {
				leftOfTwo
				rightOfTwo
			}{}
		}},
		{"a tag on one level hides the plain one", `{"Same":{"Same":"x"}}`, func() any {
			return &struct {
				left
				right `json:"Same"`
			}{}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, got := tt.into(), tt.into()
			wantErr := json.Unmarshal([]byte(tt.document), want)
			o, err := strictjson.ParseObject(tt.document)
			require.NoError(t, err)
			gotErr := o.Decode(got)
			require.Equal(t, wantErr, gotErr)
			require.Equal(t, want, got)
		})
	}
}

func TestErrorsOfDecodeAreShortAndPrintable(t *testing.T) {
	for _, document := range []string{`{"a\nlevel=INFO msg=forged":1}`, `{"1":` + strings.Repeat("9", 3000) + `}`} {
		o, err := strictjson.ParseObject(`{"m":` + document + `}`)
		require.NoError(t, err)
		var got struct {
			M map[int]int8 `json:"m"`
		}
		err = o.Decode(&got)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 300)
	}
}

func TestDecodeKeepsNamesThatNeedEscapes(t *testing.T) {
	const document = `{"a\"b":1,"\u0000\n\t\\":2,"<&>":3,"\u2028\u2029":4,"\ud83d\ude00":5,"é":6,"":7,"\/":{"\u0022":8}}`
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(document), &want))
	o, err := strictjson.ParseObject(document)
	require.NoError(t, err)
	require.NoError(t, o.Decode(&got))
	require.Equal(t, want, got)
}

func TestDecodeRefusesANameTwiceWhereverItLooks(t *testing.T) {
	for _, document := range []string{
		`{"address":{"city":"a","city":"b"}}`,
		`{"former":[{"city":"a","city":"b"}]}`,
		`{"by_kind":{"a":{},"a":{}}}`,
		`{"by_kind":{"a":{"city":"a","\u0063ity":"b"}}}`,
		`{"anything":[{"a":{"x":1,"x":2}}]}`,
	} {
		o, err := strictjson.ParseObject(document)
		require.NoError(t, err)
		var got profile
		require.ErrorIs(t, o.Decode(&got), strictjson.ErrSyntax, document)
	}
}

func TestDecodeIntoOtherKinds(t *testing.T) {
	o, err := strictjson.ParseObject(`{"a":1}`)
	require.NoError(t, err)

	var anything any
	require.NoError(t, o.Decode(&anything))
	require.Equal(t, map[string]any{"a": 1.0}, anything)

	var raw json.RawMessage
	require.NoError(t, o.Decode(&raw))
	require.Equal(t, `{"a":1}`, string(raw))

	var wrong []string
	var typeError *json.UnmarshalTypeError
	require.ErrorAs(t, o.Decode(&wrong), &typeError)

	var invalid *json.InvalidUnmarshalError
	require.ErrorAs(t, o.Decode(profile{}), &invalid)
	require.ErrorAs(t, o.Decode(nil), &invalid)
}
