package claims_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// exportedErrors returns the texts of the package's exported errors by their names,
// as they stand in its source.
func exportedErrors(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			variables, ok := declaration.(*ast.GenDecl)
			if !ok || variables.Tok != token.VAR {
				continue
			}
			for _, spec := range variables.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, variable := range spec.Names {
					if strings.HasPrefix(variable.Name, "Err") {
						require.Equal(t, "errors.go", name, "%s stands with the others", variable.Name)
						texts[variable.Name] = textOfError(t, spec.Values[i])
					}
				}
			}
		}
	}
	return texts
}

// textOfError returns the text of an expression errors.New("text").
func textOfError(t *testing.T, made ast.Expr) string {
	t.Helper()
	call, ok := made.(*ast.CallExpr)
	require.True(t, ok)
	require.Len(t, call.Args, 1)
	literal, ok := call.Args[0].(*ast.BasicLit)
	require.True(t, ok)
	text, err := strconv.Unquote(literal.Value)
	require.NoError(t, err)
	return text
}

func TestEveryErrorOfThePackageIsAReason(t *testing.T) {
	byText := map[string]error{}
	for _, sentinel := range sentinels {
		byText[sentinel.Error()] = sentinel
	}
	require.Len(t, byText, len(sentinels), "each has a text of its own")
	exported := exportedErrors(t)
	require.Len(t, exported, len(sentinels), "what the tests know, and what there is")
	for name, text := range exported {
		t.Run(name, func(t *testing.T) {
			sentinel := byText[text]
			require.NotNil(t, sentinel, "the tests do not know it")
			for _, err := range []error{
				sentinel,
				fmt.Errorf("middleware: %w", fmt.Errorf("%w: what was found", sentinel)),
				errors.Join(errors.New("another"), sentinel),
			} {
				require.Same(t, sentinel, claims.Reason(err))
			}
		})
	}
}

func TestTheReasonIsTheOneThatDecided(t *testing.T) {
	unknownKey := fmt.Errorf("%w: %w", jwks.ErrUnknownKey, claims.ErrExpired)
	check := func(err error) func(*claims.Config) {
		return func(c *claims.Config) { c.Check = func(context.Context, *claims.Claims) error { return err } }
	}
	keys := func(err error) func(*claims.Config) {
		return func(c *claims.Config) {
			c.Keys = sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) { return nil, err })
		}
	}
	tests := []struct {
		name   string
		change func(*claims.Config)
		want   error
	}{
		{"the check says that it has expired", check(claims.ErrExpired), claims.ErrRefused},
		{"the check says that it is malformed", check(claims.ErrMalformed), claims.ErrRefused},
		{"the check cannot say", check(claims.ErrUnavailable), claims.ErrUnavailable},
		{"the check cannot say that it has expired", check(fmt.Errorf("%w: %w", claims.ErrExpired, claims.ErrUnavailable)), claims.ErrUnavailable},
		{"the check's context has ended", check(context.Canceled), claims.ErrUnavailable},
		{"the key is unknown, since it has expired", keys(unknownKey), claims.ErrUnknownKey},
		{"the keys cannot be had, since they have expired", keys(claims.ErrExpired), claims.ErrUnavailable},
		{"the keys cannot be had, since they refuse", keys(claims.ErrRefused), claims.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := configured(t, tt.change).Validate(t.Context(), sign(goodHeader, payload(nil)))
			require.Same(t, tt.want, claims.Reason(err), err)
		})
	}
}

func TestAnErrorOfSomebodyElseHasNoReason(t *testing.T) {
	for _, err := range []error{
		nil, errors.New("claims: the token has expired"), context.Canceled,
		jwks.ErrUnavailable, jwks.ErrUnknownKey, busy{errors.New("later"), time.Second},
	} {
		require.NoError(t, claims.Reason(err))
	}
}
