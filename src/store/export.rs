//! Rows that the client has, in a format that the server writes better.

use super::{Store, StoreError, quoted};

impl Store {
    /// A Parquet file of these columns (name and ClickHouse type) from CSV with a header. The server converts the text
    /// as it comes: no table is made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn parquet(&self, columns: &[(&str, &str)], csv: &str) -> Result<Vec<u8>, StoreError> {
        let doing = "making a Parquet file";
        let structure: Vec<String> =
            columns.iter().map(|(name, type_name)| format!("{} {type_name}", quoted(name))).collect();
        let literal = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let sql = format!(
            "SELECT * FROM format('CSVWithNames', {}, {})",
            literal(&structure.join(", ")),
            literal(csv)
        );
        let failed = |source| self.failed(doing, source);
        let query = self
            .query(&sql)
            .with_setting("max_query_size", (2 * sql.len() + 1_000).to_string())
            // An empty field of a nullable column is NULL, of a text an empty text.
            .with_setting("input_format_csv_empty_as_default", "1")
            .with_setting("output_format_parquet_string_as_string", "1");
        let read = async { query.fetch_bytes("Parquet")?.collect().await };
        match tokio::time::timeout(self.query_limit, read).await {
            Ok(bytes) => bytes.map(|bytes| bytes.to_vec()).map_err(failed),
            Err(_) => Err(StoreError::NoAnswer { doing: doing.to_owned(), limit: self.query_limit }),
        }
    }
}
