// Package command is the program bearerguard, whose manual is the package doc of
// cmd/bearerguard. It is apart from the program so that tests run it as a
// function, with a transport and a clock of their own.
package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
)

// What the program's exit status says.
const (
	exitGood   = 0 // the token is good; all checks have passed
	exitBad    = 1 // the token is refused; a check has failed
	exitFailed = 2 // nothing can be said: the program was called wrongly, or could not do its work
)

// A Program is one run of the command.
type Program struct {
	Name   string   // as it is called, for lines to paste; "" means bearerguard
	Args   []string // without the name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string

	// Each says whether there is a person at that end.
	StdinIsTerminal  bool
	StdoutIsTerminal bool

	// Transport reaches issuers. Nil means that of the library, and so the
	// network.
	Transport http.RoundTripper
}

func (p *Program) name() string { return cmp.Or(p.Name, "bearerguard") }

// A subcommand is a word that may follow bearerguard.
type subcommand struct {
	name  string
	about string
	run   func(context.Context, *Program, []string) (int, error)
}

func subcommands() []subcommand {
	return []subcommand{
		{"explain", "why a token is refused, or that it is good", explain},
		{"doctor", "whether an issuer and a configuration go together", doctor},
		{"issuer", "a fake issuer for local development, in any language", issuer},
		{"version", "the version of this program", version},
	}
}

// A usageError says that the program was called wrongly.
type usageError struct{ reason string }

func (e usageError) Error() string { return e.reason }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Run runs the program until its work is done or ctx ends, and returns its exit
// status.
func (p *Program) Run(ctx context.Context) int {
	name := ""
	if len(p.Args) > 0 {
		name = p.Args[0]
	}
	switch name {
	case "":
		fmt.Fprint(p.Stderr, overview())
		return exitFailed
	case "-h", "-help", "--help", "help":
		fmt.Fprint(p.Stdout, overview())
		return exitGood
	case "-version", "--version":
		name = "version"
	}
	for _, s := range subcommands() {
		if s.name != name {
			continue
		}
		status, err := s.run(ctx, p, p.Args[1:])
		switch {
		case errors.Is(err, flag.ErrHelp):
			return exitGood
		case err != nil:
			fmt.Fprintf(p.Stderr, "bearerguard %s: %s\n", s.name, safe(err.Error(), 2000))
			var wrong usageError
			if errors.As(err, &wrong) {
				fmt.Fprintf(p.Stderr, "(%s %s -h tells of the flags)\n", p.name(), s.name)
			}
			return exitFailed
		}
		return status
	}
	if looksLikeToken(name) {
		fmt.Fprintf(p.Stderr, "bearerguard: %s\n", noTokenHere)
	} else {
		fmt.Fprintf(p.Stderr, "bearerguard: there is no such subcommand\n(%s -h tells of those that there are)\n", p.name())
	}
	return exitFailed
}

// noTokenHere is what somebody is told who gives a token as an argument. The
// token is not repeated: it would be in the terminal's history as well.
const noTokenHere = "the token must not be an argument, since it would stay in the shell's history and in the list of processes: " +
	"give it on standard input, or in a file with -file. (If this one is real, consider it leaked.)"

func overview() string {
	var text strings.Builder
	text.WriteString("bearerguard: why an API says 401, what is wrong with its configuration,\nand a fake issuer to develop with\n\nusage: bearerguard SUBCOMMAND [flags]\n\n")
	for _, s := range subcommands() {
		fmt.Fprintf(&text, "  %-8s  %s\n", s.name, s.about)
	}
	text.WriteString(`
examples:

  bearerguard explain -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api <token.txt
  bearerguard doctor -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
  bearerguard issuer

bearerguard SUBCOMMAND -h tells of the flags, with examples.

exit status: 0 all is well, 1 the token is refused or a check has failed,
2 nothing can be said: called wrongly, or the work could not be done
`)
	return text.String()
}

func version(_ context.Context, p *Program, args []string) (int, error) {
	if len(args) > 0 {
		return 0, usage("it takes no arguments")
	}
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	_, err := fmt.Fprintf(p.Stdout, "bearerguard %s\n", version)
	return exitGood, err
}

// A manual is what -h prints beside the flags.
type manual struct {
	usage    string
	about    string
	examples string
}

// parse reads the flags of a subcommand. On -h it prints the manual and returns
// [flag.ErrHelp].
func (p *Program) parse(flags *flag.FlagSet, m manual, args []string) error {
	if slices.ContainsFunc(args, hasToken) {
		return usageError{noTokenHere}
	}
	err := setFlags(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		g := newPage(p)
		g.line("usage: bearerguard %s\n\n%s\nflags:\n", m.usage, m.about)
		g.table(describeFlags(flags))
		g.line("\nexamples:\n\n%s", strings.TrimSuffix(m.examples, "\n"))
		if err := g.flush(p.Stdout); err != nil {
			return err
		}
	}
	return err
}

// setFlags does what flag.FlagSet.Parse does, and repeats nothing of what it was
// given in an error: any argument may be a token, also one that cannot be told
// from other text, and what is on a terminal ends up in screenshots and logs.
func setFlags(flags *flag.FlagSet, args []string) error {
	for n := 0; n < len(args); n++ {
		text, isFlag := strings.CutPrefix(args[n], "-")
		name, value, hasValue := strings.Cut(strings.TrimPrefix(text, "-"), "=")
		f := flags.Lookup(name)
		switch {
		case !isFlag || text == "" || text == "-":
			if looksLikeToken(args[n]) {
				return usageError{noTokenHere}
			}
			return usage("all that it takes are flags, and the %s argument after the subcommand is none (it is not repeated, since it may be a token, which comes on standard input or with -file)", ordinal(n+1))
		case f == nil && (name == "h" || name == "help"):
			return flag.ErrHelp
		case f == nil && isWord(name):
			return usage("there is no flag -%s", name)
		case f == nil:
			return usage("there is no such flag as the %s argument after the subcommand (it is not repeated, since it may be a token)", ordinal(n+1))
		}
		if switched, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && switched.IsBoolFlag() && !hasValue {
			value, hasValue = "true", true
		}
		if !hasValue {
			if n++; n == len(args) {
				return usage("-%s needs a value: %s", f.Name, f.Usage)
			}
			value = args[n]
		}
		if err := flags.Set(f.Name, value); err != nil {
			return usage("-%s cannot take that value (%v): %s", f.Name, err, f.Usage)
		}
	}
	return nil
}

// isWord reports whether an argument reads like the name of a flag, and not like
// what a machine has drawn by lot.
func isWord(name string) bool {
	return len(name) <= 20 && !strings.ContainsFunc(name, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') })
}

// ordinal returns which of several something is.
func ordinal(n int) string {
	if words := []string{"first", "second", "third", "fourth"}; n <= len(words) {
		return words[n-1]
	}
	return fmt.Sprintf("%dth", n) // nobody writes twenty
}

// describeFlags returns a table of the flags.
func describeFlags(flags *flag.FlagSet) (rows []row) {
	flags.VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			about += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, row{cells: []string{strings.TrimRight("  -"+f.Name+" "+value, " "), about}})
	})
	return rows
}

// A list is the value of a flag that is a list with commas, or is given more than
// once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set implements [flag.Value].
func (l *list) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			return errors.New("an element of the list is empty")
		}
		*l = append(*l, word)
	}
	return nil
}
