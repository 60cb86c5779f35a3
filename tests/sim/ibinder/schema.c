/* See schema.h. */
#include "schema.h"
#include "buf.h"

#include <stdio.h>
#include <string.h>

const struct schema_value schema_statuses[] = {
	{"Approved", "Godkänd"},   {"InReview", "Under granskning"}, {"Draft", "Arbetsmaterial"},
	{"Archived", "Arkiverad"}, {"Superseded", "Ersatt"},	     {NULL, NULL},
};

const struct schema_value schema_categories[] = {
	{"Drawing", "Ritning"}, {"Description", "Beskrivning"},	 {"Minutes", "Protokoll"},
	{"Contract", "Avtal"},	{"Manual", "Drift och skötsel"}, {"Record", "Egenkontroll"},
	{NULL, NULL},
};

const struct schema_value schema_people[] = {
	{"Anna Lindström", NULL}, {"Erik Sjögren", NULL},     {"Åsa Bergqvist", NULL},
	{"Johan Öberg", NULL},	  {"Fatima Rahimi", NULL},    {"Lars-Göran Nyström", NULL},
	{"Maja Håkansson", NULL}, {"Piotr Wiśniewski", NULL}, {NULL, NULL},
};

static const struct schema_value disciplines[] = {
	{"A", "Arkitekt"}, {"K", "Konstruktion"}, {"V", "VVS"}, {"E", "El och tele"},
	{"L", "Landskap"}, {"B", "Brand"},	  {NULL, NULL},
};

static const struct schema_value scales[] = {
	{"1:5", "1:5"},	    {"1:20", "1:20"},	{"1:50", "1:50"},
	{"1:100", "1:100"}, {"1:400", "1:400"}, {NULL, NULL},
};

static const struct schema_value phases[] = {
	{"Program", "Programhandling"},
	{"System", "Systemhandling"},
	{"Construction", "Bygghandling"},
	{"AsBuilt", "Relationshandling"},
	{NULL, NULL},
};

static const struct schema_value buildings[] = {
	{"H1", "Hus 1"}, {"H2", "Hus 2"}, {"H3", "Hus 3"}, {"G", "Garage"}, {NULL, NULL},
};

static const struct schema_value remarks[] = {
	{"Reviderad efter samråd", NULL},
	{"Se även PM \"Fasad\"", NULL},
	{"Ersätter tidigare handling", NULL},
	{"–", NULL},
	{NULL, NULL},
};

static const struct schema_value free_texts[] = {
	{"Ja", NULL},
	{"Nej", NULL},
	{"Ej bedömt", NULL},
	{"3,5 m²", NULL},
	{"C:\\Temp\\plan", NULL},
	{NULL, NULL},
};

static const struct schema_field reserved[] = {
	{"GLOBAL_TabId", "Flik", "Enumeration", NULL},
	{"GLOBAL_BinderId", "Pärm", "Enumeration", NULL},
	{"GLOBAL_TabType", "Fliktyp", "Text", NULL},
	{"GLOBAL_Category", "Kategori", "Enumeration", schema_categories},
	{"GLOBAL_CreatedBy", "Skapad av", "Text", NULL},
	{"GLOBAL_Date", "Datum", "Date", NULL},
	{"GLOBAL_RevisionDate", "Revisionsdatum", "Date", NULL},
	{"GLOBAL_Status", "Status", "Enumeration", schema_statuses},
	{"GLOBAL_Version", "Version", "Text", NULL},
};

static const struct schema_field extras[] = {
	{"Discipline", "Disciplin", "Enumeration", disciplines},
	{"Scale", "Skala", "Enumeration", scales},
	{"Phase", "Skede", "Enumeration", phases},
	{"Responsible", "Ansvarig", "Text", schema_people},
	{"Building", "Byggnad", "Enumeration", buildings},
	{"Remark", "Anmärkning", "Text", remarks},
};

struct schema_field schema_extra(size_t i, char key_storage[SCHEMA_KEY_SIZE])
{
	if (i < sizeof(extras) / sizeof(extras[0]))
		return extras[i];
	snprintf(key_storage, SCHEMA_KEY_SIZE, "Field%zu", i + 1);
	return (struct schema_field){key_storage, "Fritext", "Text", free_texts};
}

size_t schema_count(const struct schema_value *values)
{
	size_t n = 0;

	while (values && values[n].id)
		n++;
	return n;
}

static void schema_render_field(struct buf *out, const struct schema_field *field,
				const char *is_reserved)
{
	buf_add_format(out, "{\"id\":\"%s\",\"label\":\"%s\",\"dataType\":\"%s\",\"isReserved\":%s",
		       field->key, field->label, field->type, is_reserved);
	if (!strcmp(field->type, "Enumeration") && field->values) {
		buf_add_str(out, ",\"values\":[");
		for (const struct schema_value *value = field->values; value->id; value++)
			buf_add_format(out, "%s{\"valueId\":\"%s\",\"label\":\"%s\"}",
				       value == field->values ? "" : ",", value->id, value->label);
		buf_add_char(out, ']');
	}
	buf_add_char(out, '}');
}

char *schema_render(size_t extra_fields)
{
	struct buf out = {0};

	buf_add_char(&out, '[');
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (i)
			buf_add_char(&out, ',');
		schema_render_field(&out, &reserved[i], "true");
	}
	for (size_t i = 0; i < extra_fields; i++) {
		char key[SCHEMA_KEY_SIZE];
		struct schema_field field = schema_extra(i, key);

		buf_add_char(&out, ',');
		schema_render_field(&out, &field, "false");
	}
	buf_add_char(&out, ']');
	return buf_take(&out, NULL);
}
