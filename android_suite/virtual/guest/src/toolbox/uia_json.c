/* JSON: reading what a client sends, and quoting what it gets. */
#include "uia.h"

#include <ctype.h>

#define DEEPEST 40

static void skip(const char **at) {
    while (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r') (*at)++;
}

static char *put_utf8(char *to, unsigned long code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

static bool read_hex(const char **at, unsigned long *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, (*at)++) {
        if (!isxdigit((unsigned char)**at)) return false;
        *code = *code * 16 + (unsigned long)(isdigit((unsigned char)**at) ? **at - '0' : (**at | 32) - 'a' + 10);
    }
    return true;
}

static char *read_text(const char **at) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*(*at)++ != '"') return NULL;
    char *text = malloc(strlen(*at) + 1), *end = text; /* no escape is shorter than what it means */
    while (text && **at && **at != '"') {
        unsigned long code, low;
        const char *known;
        if (*(*at) != '\\') {
            *end++ = *(*at)++;
            continue;
        }
        (*at)++;
        if (**at == 'u') {
            (*at)++;
            if (!read_hex(at, &code)) break;
            if (code >= 0xd800 && code < 0xdc00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
                *at += 2;
                if (!read_hex(at, &low)) break;
                code = 0x10000 + ((code - 0xd800) << 10) + (low & 0x3ff);
            }
            end = put_utf8(end, code ? code : 0xfffd); /* a NUL would end the text */
        } else if (**at && (known = strchr(from, **at))) {
            *end++ = to[known - from];
            (*at)++;
        } else
            break;
    }
    if (!text || **at != '"') return free(text), NULL;
    (*at)++;
    *end = 0;
    return text;
}

static struct json *read_value(const char **at, int depth);

static bool read_members(const char **at, struct json *holder, int depth) {
    struct json **last = &holder->first;
    char end = holder->type == JSON_LIST ? ']' : '}';
    (*at)++;
    skip(at);
    if (**at == end) return (*at)++, true;
    for (;;) {
        char *key = NULL;
        skip(at);
        if (holder->type == JSON_OBJECT) {
            if (!(key = read_text(at))) return false;
            skip(at);
            if (*(*at)++ != ':') return free(key), false;
        }
        if (!(*last = read_value(at, depth + 1))) return free(key), false;
        (*last)->key = key;
        last = &(*last)->next;
        skip(at);
        if (**at == end) return (*at)++, true;
        if (*(*at)++ != ',') return false;
    }
}

static struct json *read_value(const char **at, int depth) {
    static const struct {
        const char *word;
        enum json_type type;
        double number;
    } words[] = {{"null", JSON_NULL, 0}, {"true", JSON_BOOL, 1}, {"false", JSON_BOOL, 0}};
    struct json *value = calloc(1, sizeof *value);
    bool good = false;
    char *end;
    skip(at);
    if (!value || depth > DEEPEST) return free(value), NULL;
    if (**at == '"') {
        value->type = JSON_TEXT;
        good = (value->text = read_text(at)) != NULL;
    } else if (**at == '[' || **at == '{') {
        value->type = **at == '[' ? JSON_LIST : JSON_OBJECT;
        good = read_members(at, value, depth);
    } else if (**at == '-' || isdigit((unsigned char)**at)) {
        value->type = JSON_NUMBER;
        value->number = strtod(*at, &end);
        good = end != *at;
        *at = end;
    }
    for (size_t i = 0; i < 3 && !good; i++) {
        size_t n = strlen(words[i].word);
        if (strncmp(*at, words[i].word, n)) continue;
        value->type = words[i].type;
        value->number = words[i].number;
        *at += n;
        good = true;
    }
    if (!good) return json_free(value), NULL;
    return value;
}

struct json *json_parse(const char *text) {
    struct json *value = read_value(&text, 0);
    if (value) skip(&text);
    if (value && *text) return json_free(value), NULL;
    return value;
}

void json_free(struct json *value) {
    while (value) {
        struct json *next = value->next;
        json_free(value->first);
        free(value->text);
        free(value->key);
        free(value);
        value = next;
    }
}

const struct json *json_get(const struct json *object, const char *key) {
    for (const struct json *m = object && object->type == JSON_OBJECT ? object->first : NULL; m; m = m->next)
        if (strcmp(m->key, key) == 0) return m;
    return NULL;
}

const struct json *json_at(const struct json *list, int index) {
    const struct json *item = list && list->type == JSON_LIST ? list->first : NULL;
    while (item && index-- > 0) item = item->next;
    return item;
}

double json_number(const struct json *value, double otherwise) {
    return value && (value->type == JSON_NUMBER || value->type == JSON_BOOL) ? value->number : otherwise;
}

const char *json_text(const struct json *value) { return value && value->type == JSON_TEXT ? value->text : ""; }

bool json_true(const struct json *value) { return value && value->type == JSON_BOOL && value->number != 0; }

void json_put_text(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 32)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}
