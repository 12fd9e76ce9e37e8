/*
 * What 0.2.0 changes in the schema of 0.1.0: the same as what differs in sql/schema. Functions and views that change their
 * parameters or columns are dropped here; the assembled script then replaces all of sql/api.
 */
