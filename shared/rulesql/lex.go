package rulesql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenString  // 'text'; text is what it means
	tokenQuoted  // "text"
	tokenSymbol  // one of ( ) [ ] , . ; * + - / % = <> < <= > >=
	tokenKeyword // text is in upper case
	tokenTopic   // what follows FROM, without quotes
)

// A token is a word of a rule's text.
type token struct {
	kind       tokenKind
	text       string
	start, end int // bytes
}

// keywords cannot be names unless they are quoted or stand behind a dot.
var keywords = map[string]int{
	"SELECT": 1, "FROM": 1, "WHERE": 1, "AS": 1, "AND": 1, "OR": 1, "NOT": 1, "LIKE": 1, "IN": 1, "CASE": 1, "WHEN": 1, "THEN": 1,
	"ELSE": 1, "END": 1, "TRUE": 1, "FALSE": 1, "NULL": 1,
}

func letter(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func nameRune(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || unicode.IsLetter(r) || unicode.Is(unicode.Mn, r)
}

// isIdentifier reports whether s can be written without quotes (rule engine reference, "Grammar", identifiers).
func isIdentifier(s string) bool {
	for i, r := range s {
		if i == 0 && !letter(r) || !nameRune(r) {
			return false
		}
	}
	return s != ""
}

// lex cuts text into tokens. The last one is tokenEnd.
func lex(part Part, text string) ([]token, error) {
	if len(text) > MaxStatement {
		return nil, &SyntaxError{Part: part, Reason: "the text is too long"}
	}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{Part: part, Reason: "the text is not UTF-8"}
	}
	var tokens []token
	for i := 0; ; {
		for i < len(text) {
			r, size := utf8.DecodeRuneInString(text[i:])
			if !unicode.IsSpace(r) {
				break
			}
			i += size
		}
		if i == len(text) {
			return append(tokens, token{start: i, end: i}), nil
		}
		t, err := lexOne(part, text, i)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		i = t.end
		if part == InStatement && t.text == "FROM" && t.kind == tokenKeyword && (len(tokens) < 2 || tokens[len(tokens)-2].text != ".") {
			if t, err = lexTopic(part, text, i); err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
			i = t.end
		}
	}
}

func lexOne(part Part, text string, i int) (token, error) {
	r, _ := utf8.DecodeRuneInString(text[i:])
	switch {
	case letter(r):
		n := i
		for n < len(text) {
			r, size := utf8.DecodeRuneInString(text[n:])
			if !nameRune(r) {
				break
			}
			n += size
		}
		t := token{kind: tokenName, text: text[i:n], start: i, end: n}
		if upper := strings.ToUpper(t.text); keywords[upper] != 0 {
			t.kind, t.text = tokenKeyword, upper
		}
		return t, nil
	case '0' <= r && r <= '9':
		return lexNumber(part, text, i)
	case r == '\'':
		return lexString(part, text, i)
	case r == '"':
		n := strings.IndexByte(text[i+1:], '"')
		if n < 0 {
			return token{}, syntaxError(part, text, i, "the closing double quote is missing")
		}
		return token{kind: tokenQuoted, text: text[i+1 : i+1+n], start: i, end: i + n + 2}, nil
	case strings.ContainsRune("()[],.;*+-/%=<>!", r):
		n := i + 1
		if n < len(text) {
			switch two := text[i : n+1]; two {
			case "<>", "!=", "<=", ">=":
				if two == "!=" {
					two = "<>"
				}
				return token{kind: tokenSymbol, text: two, start: i, end: n + 1}, nil
			}
		}
		if r == '!' {
			return token{}, syntaxError(part, text, i, "unequal is written <> or !=")
		}
		return token{kind: tokenSymbol, text: text[i:n], start: i, end: n}, nil
	}
	return token{}, syntaxError(part, text, i, "%s", strangerReason(r))
}

// strangerReason explains a character that SQL does not have. Published examples have full-width ones.
func strangerReason(r rune) string {
	const wide, narrow = "，；（）＝＜＞＊。‘’“”", `,;()=<>*.''""`
	for i, w := range []rune(wide) {
		if w == r {
			return "full-width character; write " + narrow[i:i+1]
		}
	}
	switch r {
	case '$':
		return `a path that begins with $ needs double quotes: "$.a[0]"`
	case ':', '{', '@', '#':
		return "names with other characters than letters, digits and _ need double quotes"
	}
	return "unexpected character"
}

// lexTopic reads what follows FROM: in quotes, or bare up to white space or a semicolon (rule engine reference, "Spelling").
func lexTopic(part Part, text string, i int) (token, error) {
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	if i == len(text) {
		return token{}, syntaxError(part, text, i, "the topic is missing after FROM")
	}
	if q := text[i]; q == '"' || q == '\'' {
		n := strings.IndexByte(text[i+1:], q)
		if n < 0 {
			return token{}, syntaxError(part, text, i, "the closing quote of the topic is missing")
		}
		return token{kind: tokenTopic, text: text[i+1 : i+1+n], start: i, end: i + n + 2}, nil
	}
	n := strings.IndexAny(text[i:], " \t\r\n;")
	if n < 0 {
		n = len(text) - i
	}
	return token{kind: tokenTopic, text: text[i : i+n], start: i, end: i + n}, nil
}

func lexNumber(part Part, text string, i int) (token, error) {
	n := i + digits(text[i:])
	if n < len(text) && text[n] == '.' {
		d := digits(text[n+1:])
		if d == 0 {
			return token{}, syntaxError(part, text, n, "digits are missing after the decimal point")
		}
		n += 1 + d
	}
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		j := n + 1
		if j < len(text) && (text[j] == '+' || text[j] == '-') {
			j++
		}
		if d := digits(text[j:]); d > 0 {
			n = j + d
		}
	}
	if r, _ := utf8.DecodeRuneInString(text[n:]); n < len(text) && letter(r) {
		return token{}, syntaxError(part, text, i, "a name must not begin with a digit")
	}
	if n-i > MaxNumber {
		return token{}, syntaxError(part, text, i, "the number is longer than %d characters", MaxNumber)
	}
	s := text[i:n]
	for len(s) > 1 && s[0] == '0' && '0' <= s[1] && s[1] <= '9' {
		s = s[1:]
	}
	if _, ok := readNumber(s); !ok {
		return token{}, syntaxError(part, text, i, "the number is too large")
	}
	return token{kind: tokenNumber, text: s, start: i, end: n}, nil
}

// lexString reads 'text'. A quote inside is \' or two quotes; two backslashes stand for one, a lone one for itself.
func lexString(part Part, text string, i int) (token, error) {
	var b strings.Builder
	for n := i + 1; n < len(text); n++ {
		switch c := text[n]; {
		case c == '\\' && n+1 < len(text) && (text[n+1] == '\'' || text[n+1] == '\\'):
			n++
			b.WriteByte(text[n])
		case c == '\'' && n+1 < len(text) && text[n+1] == '\'':
			n++
			b.WriteByte(c)
		case c == '\'':
			if b.Len() > MaxString {
				return token{}, syntaxError(part, text, i, "the string is longer than %d bytes", MaxString)
			}
			return token{kind: tokenString, text: b.String(), start: i, end: n + 1}, nil
		default:
			b.WriteByte(c)
		}
	}
	return token{}, syntaxError(part, text, i, "the closing quote is missing")
}
