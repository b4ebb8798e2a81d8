package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxFile bounds a node file and a secret, in bytes: whatever is longer is another file.
const maxFile = 64 << 10

// keySize is the size of the gossip key in bytes.
const keySize = 32

// makeKey is how to make a gossip key.
const makeKey = "head -c32 /dev/urandom | base64"

// source is one file of the configuration.
type source struct {
	path string
	text []byte
}

// read reads every file that l.path stands for, in the order in which they are merged.
func (l *loader) read() []source {
	paths, err := files(l.path)
	if err != nil {
		l.add(Finding{Code: codeUnreadable, Problem: "cannot read the configuration: " + err.Error(), File: l.path,
			Fix: "Give the path of a node file, or of a directory with baton.hcl and conf.d/*.hcl."})
		return nil
	}
	var all []source
	for _, p := range paths {
		text, err := readSmall(p)
		switch {
		case errors.Is(err, fs.ErrNotExist) && p != l.path:
			l.add(Finding{Code: codeUnreadable, Problem: fmt.Sprintf("there is no %s in the directory", filepath.Base(p)), File: l.path,
				Fix: "The main file of a directory must have this name; conf.d/*.hcl only add to it."})
		case err != nil:
			l.add(Finding{Code: codeUnreadable, Problem: "cannot read the configuration: " + err.Error(), File: p,
				Fix: "It must be a regular file that this user may read."})
		default:
			all = append(all, source{p, text})
		}
	}
	return all
}

// files lists what path stands for.
func files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	more, err := filepath.Glob(filepath.Join(quoteGlob(path), "conf.d", "*.hcl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(more)
	return append([]string{filepath.Join(path, "baton.hcl")}, more...), nil
}

// quoteGlob makes a pattern that matches path alone.
func quoteGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// readSmall reads a regular file that is not longer than maxFile. It does not wait for the other end of a pipe.
func readSmall(path string) ([]byte, error) {
	b, _, err := readWithMode(path)
	return b, err
}

func readWithMode(path string) ([]byte, fs.FileMode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return b, info.Mode(), err
}

// maxNesting is how many brackets and operators may be open at once. The parser recurses for each; a node file has four.
const maxNesting = 100

// tooDeep returns where s exceeds maxNesting. Operators count as brackets that never close.
func tooDeep(s source) (hcl.Range, bool) {
	tokens, _ := hclsyntax.LexConfig(s.text, s.path, hcl.InitialPos) // the parser says what is wrong with them
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl,
			hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth--
		}
		if depth > maxNesting {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}

// secret reads a file that nobody but its owner may read; it returns "" after saying what is wrong.
func (l *loader) secret(field, path string) string {
	bad := func(problem, fix string) string {
		l.fail(field, codeSecret, problem, fix)
		return ""
	}
	if !filepath.IsAbs(path) {
		return bad(fmt.Sprintf("%q is not an absolute path", path), "Write the whole path, so that it does not depend on where baton is started.")
	}
	b, mode, err := readWithMode(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad("there is no file "+path, fmt.Sprintf("Run: install -m 600 /dev/null %s, and write the secret into it, as its only line.", path))
	case err != nil:
		return bad("the secret cannot be read: "+err.Error(), "It must be a file with one line that baton's user may read.")
	case mode.Perm()&0o077 != 0:
		return bad(fmt.Sprintf("%s is open to others: mode %04o", path, mode.Perm()), "Run: chmod 600 "+path)
	}
	text := strings.TrimRight(string(b), "\r\n")
	switch {
	case strings.TrimSpace(text) == "":
		return bad(path+" is empty", "Write the secret into it, as its only line.")
	case strings.ContainsAny(text, "\r\n\x00"):
		return bad(path+" has more than one line", "Keep the secret alone in the file.")
	}
	return text
}

// gossipKey reads the 32 bytes that all nodes share.
func (l *loader) gossipKey(path string) []byte {
	const field = "gossip_key_file"
	text := l.secret(field, path)
	if text == "" {
		if l.absent(path) {
			l.refix(fmt.Sprintf("Copy it from the first server, which makes it (bootstrap = true). Or run once: (umask 077; %s > %s), and copy the file to every node.", makeKey, path))
		}
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != keySize {
		what := "is no base64"
		if err == nil {
			what = fmt.Sprintf("holds %d bytes in base64, want %d", len(key), keySize)
		}
		l.fail(field, codeSecret, path+" "+what,
			fmt.Sprintf("Make a key once: (umask 077; %s > %s), and copy the file to every other node.", makeKey, path))
		return nil
	}
	return key
}

func (l *loader) absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
