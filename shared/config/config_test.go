package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

// settings is what a program declares.
type settings struct {
	Other string `env:"OTHER"`
	Cloud Cloud
	Store Store
}

func environment(pairs ...string) envconfig.Lookuper {
	m := map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s3cret"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return envconfig.MapLookuper(m)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		env                 []string
		tablestore, fc, sls string
	}{
		{"unset", nil, "https://relink.cn-shanghai.vpc.tablestore.aliyuncs.com", "https://fcv3-vpc.cn-shanghai.aliyuncs.com", "http://cn-shanghai-intranet.log.aliyuncs.com"},
		{"auto", []string{"RELINK_REGION", "cn-beijing", "TABLESTORE_INSTANCE", "fleet", "TABLESTORE_ENDPOINT", "auto", "RELINK_FC_ENDPOINT", "auto", "SLS_ENDPOINT", "auto"},
			"https://fleet.cn-beijing.vpc.tablestore.aliyuncs.com", "https://fcv3-vpc.cn-beijing.aliyuncs.com", "http://cn-beijing-intranet.log.aliyuncs.com"},
		{"empty", []string{"TABLESTORE_ENDPOINT", "", "RELINK_FC_ENDPOINT", "", "SLS_ENDPOINT", ""},
			"https://relink.cn-shanghai.vpc.tablestore.aliyuncs.com", "https://fcv3-vpc.cn-shanghai.aliyuncs.com", ""},
		{"given", []string{"TABLESTORE_ENDPOINT", "http://a", "RELINK_FC_ENDPOINT", "http://b", "SLS_ENDPOINT", "http://c"}, "http://a", "http://b", "http://c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s settings
			if err := read(&s, environment(c.env...)); err != nil {
				t.Fatal(err)
			}
			if s.Cloud.TablestoreEndpoint != c.tablestore || s.Cloud.FCEndpoint != c.fc || s.Cloud.SLSEndpoint != c.sls {
				t.Errorf("got %s %s %s", s.Cloud.TablestoreEndpoint, s.Cloud.FCEndpoint, s.Cloud.SLSEndpoint)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("11", 32), strings.Repeat("22", 32)
	var s settings
	if err := read(&s, environment("RELINK_SECRET_KEY", one, "RELINK_OLD_SECRET_KEYS", two+","+one)); err != nil {
		t.Fatal(err)
	}
	if old := s.Cloud.OldSecretKeys; len(old) != 2 || old[0][0] != 0x22 || old[1] != s.Cloud.SecretKey {
		t.Errorf("%d old keys", len(old))
	}
	if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, "s3cret") || strings.Contains(text, "34, 34") || strings.Contains(text, "0x22, 0x22") {
		t.Errorf("secrets print: %s", text)
	}
	s = settings{}
	if err := read(&s, environment("RELINK_OLD_SECRET_KEYS", "")); err != nil || len(s.Cloud.OldSecretKeys) != 0 {
		t.Errorf("no old keys: %d, %v", len(s.Cloud.OldSecretKeys), err)
	}
	for _, bad := range []string{"11", one + "," + one[1:], one + ",", strings.Repeat("00", 32), "x" + one[1:]} {
		err := read(new(settings), environment("RELINK_OLD_SECRET_KEYS", bad))
		if err == nil || !strings.HasPrefix(err.Error(), "configuration: ") || strings.Contains(err.Error(), "1111") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := read(new(settings), envconfig.MapLookuper(nil)); err == nil || !strings.Contains(err.Error(), "ALIBABA_CLOUD_ACCESS_KEY_ID") {
		t.Errorf("nothing set: %v", err)
	}
}
