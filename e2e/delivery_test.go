package e2e

import (
	"bytes"
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/alink"
)

// fetch downloads as a device does, and makes sure of what its HTTP client needs.
func fetch(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || r.ContentLength != int64(len(data)) || len(r.TransferEncoding) != 0 {
		t.Fatalf("GET %s: %s, %d bytes of %d, %v", url, r.Status, len(data), r.ContentLength, err)
	}
	return data
}

// A new configuration reaches the product's online devices, which fetch it at the download door.
func TestRemoteConfigPush(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "configured")
	newDevice(t, api, pk, "not-there")
	lamp := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	if body := s.call(t, "RelinkPublishRemoteConfig", map[string]string{"ProductKey": pk, "Content": `{"interval":30}`}); !bytes.Contains(body, []byte(`"Success":true`)) {
		t.Fatalf("%s", body)
	}
	if body := s.call(t, "RelinkPushRemoteConfig", map[string]string{"ProductKey": pk}); !bytes.Contains(body, []byte(`"Sent":1`)) {
		t.Fatalf("%s", body)
	}
	got := lamp.next(t, "/sys/"+pk+"/configured/thing/config/push")
	var push struct{ Params struct{ URL string } }
	if err := json.Unmarshal(got, &push); err != nil {
		t.Fatal(err)
	}
	if content := fetch(t, push.Params.URL); string(content) != `{"interval":30}` {
		t.Errorf("the configuration is %q", content)
	}
}

// uploadFrame is one block as Link SDK C sends it.
func uploadFrame(id string, offset int, data []byte) []byte {
	head := fmt.Sprintf(`{"id":"%d","params":{"uploadId":"%s","offset":%d,"bSize":%d,"isComplete":false}}`, offset, id, offset, len(data))
	b := endian.BigEndian.AppendUint16(nil, uint16(len(head)))
	b = append(append(b, head...), data...)
	return endian.LittleEndian.AppendUint16(b, alink.CRC16(data))
}

// A file of 1 MB comes over MQTT, every block twice, and is listed, fetched and deleted with the official SDK.
func TestFileUpload(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "uploader")
	lamp := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	topic := "/sys/" + pk + "/uploader/thing/file/upload/mqtt/"
	content := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	lamp.post(t, topic+"init", fmt.Sprintf(`{"id":"1","params":{"fileName":"data.bin","fileSize":%d,"ficMode":"crc64","ficValue":"%016x","initUid":"1"}}`,
		len(content), crc64.Checksum(content, crc64.MakeTable(crc64.ECMA))))
	var init struct{ Data struct{ UploadID string } }
	if got := lamp.next(t, topic+"init_reply"); json.Unmarshal(got, &init) != nil || init.Data.UploadID == "" {
		t.Fatalf("init: %s", got)
	}
	const block = 64 << 10
	for offset := 0; offset < len(content); offset += block {
		for range 2 {
			lamp.post(t, topic+"send", string(uploadFrame(init.Data.UploadID, offset, content[offset:offset+block])))
			got := string(lamp.next(t, topic+"send_reply"))
			if !strings.HasPrefix(got, `{"code":200,`) || strings.Contains(got, `"complete":true`) != (offset+block == len(content)) {
				t.Fatalf("block at %d: %s", offset, got)
			}
		}
	}
	list, err := api.QueryDeviceFileList(&iotapi.QueryDeviceFileListRequest{ProductKey: &pk, DeviceName: tea.String("uploader"), CurrentPage: tea.Int32(1), PageSize: tea.Int32(10)})
	if err != nil || tea.Int32Value(list.Body.Total) != 1 || tea.StringValue(list.Body.Data.FileSummary[0].Name) != "data.bin" {
		t.Fatalf("QueryDeviceFileList: %v %v", err, list)
	}
	id := list.Body.Data.FileSummary[0].FileId
	one, err := api.QueryDeviceFile(&iotapi.QueryDeviceFileRequest{ProductKey: &pk, DeviceName: tea.String("uploader"), FileId: id})
	if err != nil || !tea.BoolValue(one.Body.Success) || tea.StringValue(one.Body.Data.Size) != "1048576" {
		t.Fatalf("QueryDeviceFile: %v %v", err, one)
	}
	if got := fetch(t, *one.Body.Data.DownloadUrl); !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes, and not those that were sent", len(got))
	}
	deleted, err := api.DeleteDeviceFile(&iotapi.DeleteDeviceFileRequest{ProductKey: &pk, DeviceName: tea.String("uploader"), FileId: id})
	if err != nil || !tea.BoolValue(deleted.Body.Success) {
		t.Errorf("DeleteDeviceFile: %v %v", err, deleted)
	}
	again, err := api.QueryDeviceFile(&iotapi.QueryDeviceFileRequest{ProductKey: &pk, DeviceName: tea.String("uploader"), FileId: id})
	if err != nil || tea.BoolValue(again.Body.Success) {
		t.Errorf("QueryDeviceFile of a deleted file: %v %v", err, again)
	}
}
