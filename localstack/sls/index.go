package sls

import (
	"encoding/json"
	"net/http"
	"slices"
)

// index is the index of a logstore ("CreateIndex"). body is what the client sent,
// answered as it came.
type index struct {
	Line *indexLine           `json:"line"`
	Keys map[string]*indexKey `json:"keys"`
	body json.RawMessage
}

type indexLine struct {
	Token         []string `json:"token"`
	CaseSensitive bool     `json:"caseSensitive"`
	Chn           bool     `json:"chn"`
	IncludeKeys   []string `json:"include_keys"`
	ExcludeKeys   []string `json:"exclude_keys"`
	tok           *tokenizer
}

type indexKey struct {
	Type          string   `json:"type"`
	Token         []string `json:"token"`
	CaseSensitive bool     `json:"caseSensitive"`
	Chn           bool     `json:"chn"`
	DocValue      bool     `json:"doc_value"`
	Alias         string   `json:"alias"`
	tok           *tokenizer
}

func (k *indexKey) numeric() bool { return k.Type == "long" || k.Type == "double" }

// covers tells whether full text search looks into a field.
func (l *indexLine) covers(key string) bool {
	if len(l.IncludeKeys) > 0 {
		return slices.Contains(l.IncludeKeys, key)
	}
	return len(l.ExcludeKeys) == 0 || !slices.Contains(l.ExcludeKeys, key)
}

// reservedKey is the index every logstore has on __topic__, __source__, __tag__:…
var reservedKey = &indexKey{Type: "text", DocValue: true, tok: defaultTokenizer}

// key returns the index of a field.
func (x *index) key(name string) (*indexKey, bool) {
	if k, ok := x.Keys[name]; ok {
		return k, true
	}
	if name == fieldTopic || name == fieldSource || len(name) > len(tagPrefix) && name[:len(tagPrefix)] == tagPrefix {
		return reservedKey, true
	}
	return nil, false
}

// textKeys returns the tokenizers of the keys of type text.
func (x *index) textKeys() map[string]*tokenizer {
	m := make(map[string]*tokenizer)
	for name, k := range x.Keys {
		if !k.numeric() {
			m[name] = k.tok
		}
	}
	return m
}

// parseIndex checks the body of CreateIndex and UpdateIndex.
func parseIndex(body []byte) (*index, error) {
	x := &index{body: slices.Clone(body)}
	if err := json.Unmarshal(body, x); err != nil {
		return nil, fail(IndexInfoInvalid, err)
	}
	if x.Line == nil && len(x.Keys) == 0 {
		return nil, fail(IndexInfoInvalid, "neither line nor keys")
	}
	if x.Line != nil {
		if len(x.Line.IncludeKeys) > 0 && len(x.Line.ExcludeKeys) > 0 {
			return nil, fail(IndexInfoInvalid, "include_keys and exclude_keys exclude each other")
		}
		x.Line.tok = newTokenizer(x.Line.Token, x.Line.CaseSensitive, x.Line.Chn)
	}
	for name, k := range x.Keys {
		if name == "" || k == nil {
			return nil, fail(IndexInfoInvalid, "empty key")
		}
		switch k.Type {
		case "text", "json", "long", "double":
		default:
			return nil, fail(IndexInfoInvalid, "key "+name+" has the unknown type "+k.Type)
		}
		k.tok = newTokenizer(k.Token, k.CaseSensitive, k.Chn)
	}
	return x, nil
}

func (s *Server) createIndex(q *request) error {
	return s.putIndex(q, func(old *index) error {
		if old != nil {
			return fail(IndexAlreadyExist)
		}
		return nil
	})
}

func (s *Server) updateIndex(q *request) error {
	return s.putIndex(q, func(old *index) error {
		if old == nil {
			return fail(IndexConfigNotExist)
		}
		return nil
	})
}

func (s *Server) putIndex(q *request, check func(old *index) error) error {
	x, err := parseIndex(q.body)
	if err != nil {
		return err
	}
	return s.changeLogstore(q.project, q.arg("logstore"), func(ls *logstoreInfo) error {
		if err := check(ls.index); err != nil {
			return err
		}
		ls.index = x
		return nil
	})
}

func (s *Server) deleteIndex(q *request) error {
	return s.changeLogstore(q.project, q.arg("logstore"), func(ls *logstoreInfo) error {
		if ls.index == nil {
			return fail(IndexConfigNotExist)
		}
		ls.index = nil
		return nil
	})
}

func (s *Server) getIndex(q *request) error {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return err
	}
	x := ls.info.Load().index
	if x == nil {
		return fail(IndexConfigNotExist)
	}
	writeBody(q.w, http.StatusOK, "application/json", x.body)
	return nil
}
