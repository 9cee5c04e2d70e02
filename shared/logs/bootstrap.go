package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"gopkg.in/yaml.v3"
)

// A Change is what Bootstrap did, or found, about one logstore.
type Change struct {
	Logstore string
	Action   string // created, unchanged, differs
	Detail   string
}

// A declaration is templates/sls.yaml.
type declaration struct {
	Logstores []struct {
		Name     string            `yaml:"name"`
		Purpose  string            `yaml:"purpose"`
		TTL      int               `yaml:"ttl"`      // days
		Shards   int               `yaml:"shards"`   // at first; they split by themselves
		FullText bool              `yaml:"fullText"` // words anywhere in a line are found
		Keys     map[string]string `yaml:"keys"`     // field: text, long or double
	} `yaml:"logstores"`
}

// separators end a word of full text and of text keys. A colon, a slash and a hyphen do not: they are part of names, topics
// and causes.
var separators = []string{",", " ", "'", "\"", ";", "=", "(", ")", "[", "]", "{", "}", "?", "@", "&", "<", ">", "\n", "\t", "\r"}

// Bootstrap creates the project, the declared logstores and their indexes where they are missing, and compares the indexes of
// the others. It never changes or drops anything.
func Bootstrap(client sls.ClientInterface, project string, file io.Reader) ([]Change, error) {
	var d declaration
	yamlDecoder := yaml.NewDecoder(file)
	yamlDecoder.KnownFields(true)
	if err := yamlDecoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("declaration of logstores: %w", err)
	}
	there, err := client.CheckProjectExist(project)
	if err != nil {
		return nil, fmt.Errorf("look for project %s: %w", project, err)
	}
	if !there {
		if _, err := client.CreateProject(project, "Relink"); err != nil {
			return nil, fmt.Errorf("create project %s: %w", project, err)
		}
	}
	var plan []Change
	for _, l := range d.Logstores {
		if l.Name == "" || l.TTL < 1 || l.TTL > 3650 {
			return plan, fmt.Errorf("logstore %q: a name and a ttl of 1 to 3650 days are needed", l.Name)
		}
		keys := map[string]sls.IndexKey{}
		for key, kind := range l.Keys {
			if kind != "text" && kind != "long" && kind != "double" {
				return plan, fmt.Errorf("logstore %s: key %s: type %q is not text, long or double", l.Name, key, kind)
			}
			k := sls.IndexKey{Type: kind, DocValue: true}
			if kind == "text" {
				k.Token = separators
			}
			keys[key] = k
		}
		index := sls.Index{Keys: keys}
		if l.FullText {
			index.Line = &sls.IndexLine{Token: separators}
		}
		change, err := bootstrapLogstore(client, project, sls.LogStore{Name: l.Name, TTL: l.TTL, ShardCount: max(l.Shards, 1), AutoSplit: true, MaxSplitShard: 64}, index)
		if err != nil {
			return plan, err
		}
		plan = append(plan, change)
	}
	return plan, nil
}

func bootstrapLogstore(client sls.ClientInterface, project string, l sls.LogStore, index sls.Index) (Change, error) {
	change := Change{Logstore: l.Name, Action: "unchanged"}
	there, err := client.CheckLogstoreExist(project, l.Name)
	if err != nil {
		return change, fmt.Errorf("look for logstore %s: %w", l.Name, err)
	}
	if !there {
		change.Action = "created"
		if err := client.CreateLogStoreV2(project, &l); err != nil {
			return change, fmt.Errorf("create logstore %s: %w", l.Name, err)
		}
	}
	now, err := client.GetIndex(project, l.Name)
	if e, ok := errors.AsType[*sls.Error](err); ok && strings.EqualFold(e.Code, "IndexConfigNotExist") {
		text, err := json.Marshal(index)
		if err != nil {
			return change, err
		}
		if err := client.CreateIndexString(project, l.Name, string(text)); err != nil {
			return change, fmt.Errorf("create the index of logstore %s: %w", l.Name, err)
		}
		return change, nil
	}
	if err != nil {
		return change, fmt.Errorf("read the index of logstore %s: %w", l.Name, err)
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(index.Keys)) {
		if now.Keys[key].Type != index.Keys[key].Type {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		change.Action, change.Detail = "differs", "index lacks or types otherwise: "+strings.Join(missing, ", ")
	}
	return change, nil
}
